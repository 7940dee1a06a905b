import sys

from twilio.rest import Client

print(Client("AC0", "token").request("GET", sys.argv[1]).text)
