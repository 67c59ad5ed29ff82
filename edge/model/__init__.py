"""The model bundle: signed file, loaded networks, the runtime behind them."""
