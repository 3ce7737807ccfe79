"""The web console: what an operator and a steward see and do in a browser.

    browser --guard, session--> a page's module --port--> streams/operate, as the command line does

`app` puts it together, `port` says what it needs of the platform, `live` gives that from a running one and `memory`
from a few invented providers. Decides nothing: it shows what operate says and hands over what people say.
"""
