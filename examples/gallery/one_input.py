"""A network's function of one input, a broken line: breakpoints of the first layer, and those the second one adds.

The network 1-16-16-1 was trained on the dashed curve.
"""

import numpy as np
from pictures import arguments, figure, save, train

import tropnet as tn

options = arguments(__doc__, "one_input").parse_args()
x = np.linspace(-3, 3, 400)[:, None]
wanted = np.sin(3 * x) * np.exp(-0.3 * x**2) + 0.2 * x
net = train([1, 16, 16, 1], x, wanted, 150 if options.quick else 1500)
drawn = figure(7, 4)
ax = tn.plot_function(net, tn.Box(-4, 4), drawn.add_subplot())
ax.plot(x, wanted, "--", color="0.6", linewidth=1.2, label="trained on", zorder=1)
ax.legend()
save(drawn, options.out)
