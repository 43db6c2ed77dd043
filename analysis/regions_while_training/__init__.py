"""Do networks with skip connections have more activation regions throughout training? LR Fig. 3, and a control."""
