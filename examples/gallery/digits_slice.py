"""The plane through three images of digits: regions of a network with 64 inputs, coloured by class.

The images of 8 by 8 pixels are drawn by the script: a 0, a 1 and a 7, shifted and with noise. The thick line is the
decision boundary.
"""

import numpy as np
from pictures import arguments, figure, save, train

import tropnet as tn

GLYPHS = {
    0: [".###..", "#...#.", "#...#.", "#...#.", "#...#.", ".###.."],
    1: ["..#...", ".##...", "..#...", "..#...", "..#...", ".###.."],
    7: ["#####.", "....#.", "...#..", "..#...", "..#...", "..#..."],
}

options = arguments(__doc__, "digits_slice").parse_args()
random = np.random.default_rng(0)
images, labels = [], []
for _ in range(100):
    for number, rows in enumerate(GLYPHS.values()):
        image = np.zeros((8, 8))
        image[1:7, 1:7] = [[symbol == "#" for symbol in row] for row in rows]
        image = np.roll(image, random.integers(-1, 2, size=2), axis=(0, 1))
        images.append(np.clip(image * random.uniform(0.7, 1) + random.normal(scale=0.1, size=image.shape), 0, 1))
        labels.append(number)
points, targets = np.array(images).reshape(-1, 64), np.array(labels)

net = train([64, 24, 24, 3], points, targets, 20 if options.quick else 120)
drawn = figure(6.5, 5.2)
names = [f"a {digit}" for digit in GLYPHS]
ax = tn.plot_slice(
    net, points[:3], drawn.add_subplot(), images=1 - np.array(images[:3]), names=names, color="class", boundary=True
)
shown = [list(GLYPHS)[int(text.get_text().removeprefix("class "))] for text in ax.get_legend().get_texts()]
ax.legend(ax.get_legend().legend_handles, [f"classified as {digit}" for digit in shown], loc="upper left")
save(drawn, options.out)
