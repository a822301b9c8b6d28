"""The engine: a request in, hooks called through an executor, models and a result out."""
