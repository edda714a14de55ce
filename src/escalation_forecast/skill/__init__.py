"""How good the forecasts are: tables, figures and one page from the folders of finished backtests."""
