"""The rules, a module each; `catalogue` lists them, `verdict` says what they answer with."""
