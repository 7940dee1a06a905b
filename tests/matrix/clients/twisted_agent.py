import sys

from twisted.internet import task
from twisted.web.client import Agent, readBody


def main(reactor):
    answer = Agent(reactor).request(b"GET", sys.argv[1].encode())
    return answer.addCallback(readBody).addCallback(lambda body: print(body.decode()))


task.react(main)
