"""Few nonlinearities, AR section 6: ReLU neurons of a small CNN that turn affine while it trains, and are folded."""
