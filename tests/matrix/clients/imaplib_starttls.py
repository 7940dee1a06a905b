import imaplib
import ssl
import sys
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
imap = imaplib.IMAP4(url.hostname, url.port, timeout=20)
imap.starttls(ssl.create_default_context())
print("reached", imap.noop())
