"""Misbehaves when it runs: in the way that the hyperparameter `do` names."""


def train(run, dataset, hyperparameter, checkpoint):
    do = hyperparameter["do"]
    print(f"printed by {do}")
    if do == "raise":
        raise ValueError(f"no [bold]luck[/bold]\n\x1b[31m with {hyperparameter}")
    if do == "exit":
        raise SystemExit(4)
    if do == "string":
        return "a word, and no path"
    if do == "nothing":
        return None
    if do == "interrupt":
        raise KeyboardInterrupt
    with open(run.checkpoint_output, "w") as file:
        file.write("{}")
    return run.checkpoint_output


def tune(hyperparameter, run, dataset, checkpoint):
    do = hyperparameter["do"]
    if do == "nothing":
        return None
    if do == "string":
        return "0.5"
    if do == "nan":
        return float("nan")
    train(run, dataset, hyperparameter, checkpoint)
    return {"score": hyperparameter.get("x", 1.0)}
