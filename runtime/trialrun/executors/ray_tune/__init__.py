"""Studies on Ray Tune: the only folder that imports ray."""
