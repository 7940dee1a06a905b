"""Which of our modules a frozen program needs: all but the command line and what is for other ways to start."""

from PyInstaller.utils.hooks import collect_submodules

_NOT_NEEDED = ("truststore._cli", "truststore._commands", "truststore._image", "truststore._pyinstaller")

hiddenimports = ["truststore_autoinject"]
hiddenimports += collect_submodules("truststore", filter=lambda name: not name.startswith(_NOT_NEEDED))
