"""The built-in example model `flight-delay`: will a flight land more than 15 minutes late?

`data` reads the real flights that left New York in 2013, `model` holds the training function that
`retrue.yaml` names, `replay` serves a fitted model over a span of flights and writes what a model server would log.
Importing this package reads nothing; so does importing its modules.
"""
