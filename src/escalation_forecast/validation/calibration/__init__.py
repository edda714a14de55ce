"""Simulation-based calibration: known parameters from the priors, data made from them, and where they rank.

Cook, Gelman and Rubin (2006), Talts, Betancourt, Simpson, Vehtari and Gelman (2018), Modrák et al. (2023).
"""
