import concurrent.futures
import sys
import threading

together = threading.Barrier(16)


def get(_):
    together.wait()
    import urllib.request  # and with it ssl, in all threads at once

    return urllib.request.urlopen(sys.argv[1], timeout=20).read().decode()


with concurrent.futures.ThreadPoolExecutor(together.parties) as pool:
    answers = [pool.submit(get, number) for number in range(together.parties)]

failures = [answer.exception() for answer in answers if answer.exception() is not None]
if failures:
    # Every thread must say the same.
    sys.exit(f"{failures[0]!r}" if len(failures) == len(answers) else "threads disagree")
print(*{answer.result() for answer in answers})
