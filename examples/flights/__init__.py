"""The built-in example model `flight-delay`: will a flight land more than 15 minutes late?

`data` reads the real flights that left New York in 2013, `model` holds the training function that
`retrue.yaml` names, `server` what a model server does around the model, faults included, and `replay` serves a span of flights
through it and logs them with retrue's inference logger.
Importing this package reads nothing; so does importing its modules.
"""
