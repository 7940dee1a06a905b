import ftplib
import ssl
import sys
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
ftp = ftplib.FTP_TLS(context=ssl.create_default_context(), timeout=20)
ftp.connect(url.hostname, url.port)
print("reached", ftp.login("user", "password"))
