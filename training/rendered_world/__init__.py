"""Training on the rendered world: tower labels, frame pool, tower training, features, export."""
