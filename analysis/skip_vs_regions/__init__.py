"""Do skip connections make more activation regions? LR Table 1 and sections 6.2-6.3, and what they leave open."""
