"""What a card says of every run.

README and docs/validation.md say the same of limits and failures; tests compare them.
"""

from __future__ import annotations

from typing import Final

ABOUT: Final = (
    "One Bayesian model reads dated public figures (military spending and announced budgets, troops, arms"
    " deliveries, sanctions, missile launches, aircraft around Taiwan, press tension, militarised "
    "incidents) and gives joint draws of tension in five theatres, of military spending of 14 states, of "
    "clashes, wars and joiners. Every answer is a share of those draws, so that the answers fit together."
)
USERS: Final = (
    "Analysts and forecasters who need probabilities of escalation in East Asia and around Ukraine with "
    "their reasons, and who set them beside their own judgement.",
    "Researchers who want to repeat, score or change a forecast: figures, priors and questions are files.",
)
INTENDED: Final = (
    "Probabilities of the listed questions up to the horizon, each beside its base rate and its Monte "
    "Carlo error.",
    "Why a probability moved between two runs, and what it becomes under other priors.",
    "What a decision might change, as an argument put in numbers, up to {levers} months ahead.",
)
NOT_INTENDED: Final = (
    "Warning of an attack, targeting, or any decision that rests on this output alone.",
    "Statements about single months or days: figures are monthly and yearly, and come weeks to months late.",
    "States, pairs of states and theatres that are not among those named here.",
    "Causal claims. What a lever changes is elicited from people and not estimated from data.",
    "Scenarios beyond {levers} months: they are not answered.",
    "Commercial use: the terms of several sources rule it out.",
)
FACTORS: Final = (
    "Theatres with few indicators (the two seas) are known less well than those that the press covers.",
    "Figures of one side at war are claims, and are marked as such in the data.",
    "Where the day of publication is unknown a typical delay stands in, so past days look better informed"
    " than they were.",
)
METRICS: Final = (
    "Probabilities are shares of joint posterior draws; the Monte Carlo error says how far another seed "
    "would move them, and nothing about whether the model is right.",
    "Past forecasts are scored by CRPS, ranked score and Brier score against mixtures of simple methods "
    "on the same cases; skill is 1 - score / score of the reference, and a star marks what could be "
    "chance (90 % interval).",
    "How far an answer about war is prior: its largest change, as a share of it, when the nuclear "
    "discount, the slope on tension or the weight of history is loosened. Below {mixed} it is data-"
    "driven, from {driven} prior-driven, between them mixed.",
)
ETHICS: Final = (
    "A published probability of war can be quoted without its reasons, or used to argue for arming. Quote"
    " it with its base rate, its prior share and the day it was made.",
    "The figures concern states and not persons, except counts of soldiers; no personal data are used.",
    "Press coverage and sanctions are mostly Western and in English: what is not written about in English"
    " is seen less.",
)
RECOMMENDATIONS: Final = (
    "Look at the interval and the base rate before the number, and at what changes it before acting on it.",
    "Change a prior you do not share and see what it does: `escalation-forecast priors update`.",
    "Do not average these answers over time as if they were independent: answers of neighbouring days "
    "share a window.",
)
LIMITS: Final = (
    "The output is a probability under one model and its priors, not a warning. The base rate of its "
    "reference class is printed beside each, where there is one.",
    "War is rare, so its probabilities are history and judgement more than data; each is printed with "
    "what it becomes when a prior is loosened. A war that is decided on without a clash before it has no "
    "step of its own, which matters most for the Taiwan Strait.",
    "Use of force is pooled with simple methods, because the model's own ladder is no better than they "
    "are (docs/decisions/0010-pool-of-force.md).",
    "Military spending is pooled with simple methods, because the model alone is too sure of the next "
    "year (docs/decisions/0014-pool-of-spending.md).",
    "What a decision would change (S) rests on elicited effects. It is an argument put in numbers, not an"
    " estimate.",
    "Figures are public and imperfect. Spending of China is the originator's estimate in every year; "
    "claims of one side at war are marked as such; where the day of publication is unknown, a typical "
    "delay stands in (`pseudo_vintage`).",
    "North Korea publishes no usable spending series. It enters through launches, troops, deliveries and "
    "sanctions.",
    "Tension is inferred from what indicators share. Press coverage counts summits as well as crises, and"
    " a theatre with few indicators is known less well: look at the intervals.",
    "A forecast as of a past day uses only figures public by then, but the model and its defaults were "
    "built later.",
)
FAILURES: Final = (
    "The risk of Korea, Taiwan and Ukraine-NATO is mostly press tension; that of the two seas is the "
    "ladder, smoothed, and nothing else in the data confirms it. For the East China Sea what else there "
    "is points the other way (section 6).",
    "Korea 2010 and Scarborough 2012 come out as a fall; August 2022 in the Taiwan Strait hardly shows; "
    "summits count as tension; wars elsewhere raise every theatre.",
    "Troop presence, voting distance, volumes of arms transfers, modelled casualties and ship counts tell"
    " the latent nothing that noise does not.",
    "Spending intervals are too wide in calm years and too narrow at breaks.",
)
VALIDATION: Final = "docs/validation.md"
LEVER_MONTHS: Final = 24
"""`scenario.levers.LONGEST`, which lies above a card; a test compares them."""
