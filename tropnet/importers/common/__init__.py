"""What all importers share: the intermediate form, lowering of activations, the check of the result."""
