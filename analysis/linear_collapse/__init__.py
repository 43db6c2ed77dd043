"""Linear CNNs on MNIST and their collapse to one affine map: AR Fig. 1 and section 5.2, and what its 98.7 % is."""
