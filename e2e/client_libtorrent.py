"""A BitTorrent client without a face: shares one torrent until it is killed.

usage: client_libtorrent.py TORRENT DIR LISTEN

Peers come from the torrent's tracker alone.
"""

import sys

import libtorrent as lt

torrent, directory, listen = sys.argv[1:]
session = lt.session({
    "listen_interfaces": listen,
    "enable_dht": False,
    "enable_lsd": False,
    "enable_natpmp": False,
    "enable_upnp": False,
    "alert_mask": lt.alert.category_t.error_notification
    | lt.alert.category_t.status_notification
    | lt.alert.category_t.tracker_notification
    | lt.alert.category_t.connect_notification,
})
session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": directory})
while True:
    session.wait_for_alert(1000)
    for alert in session.pop_alerts():
        print(alert.message(), flush=True)
