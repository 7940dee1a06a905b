import smtplib
import ssl
import sys
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
smtp = smtplib.SMTP(url.hostname, url.port, timeout=20)
smtp.starttls(context=ssl.create_default_context())
print("reached", smtp.ehlo())
