"A run that only waits: what is left is the cost of the sweep itself."
from time import sleep


def wait(setting):
    sleep(setting["seconds"])
    return [dict(waited=setting["seconds"])]
