"""The texts of the files of a Mosquitto with dynamic security."""

from string import Template
from typing import Final

CONFIG: Final = Template("""\
# Mosquitto for Ringline, written by `ringline deploy mosquitto`; Ringline's deploy/mosquitto/README.md explains each
# setting. After a change: restart, or send SIGHUP where it is not about the listener or the plugin.

$access
user $user

$listener

# Messages to one client, under way and waiting: workers get those of many users through one connection.
max_inflight_messages 1000
max_queued_messages 10000
max_queued_bytes 33554432

# Ringline's messages have at most 32 KiB, and commands to the plugin less than 64.
max_packet_size 65536
max_keepalive 300
set_tcp_nodelay true

# Nothing outlives a connection: no retained messages, no sessions for longer than an hour, nothing on disk.
retain_available false
persistent_client_expiration 1h
persistence false

# Nobody may hear $$SYS here.
sys_interval 0

log_dest stderr
log_timestamp_format %Y-%m-%dT%H:%M:%S
log_type error
log_type warning
log_type notice
log_type information
""")

DYNAMIC_SECURITY: Final = Template("""\
# Who may log in, and what each may do: nobody, and nothing, that the plugin's file does not name.
allow_anonymous false
plugin $plugin
plugin_opt_config_file $security""")

PLAIN_LISTENER: Final = Template("listener $port $host")
TLS_LISTENER: Final = Template("listener $port $host\ncertfile $certfile\nkeyfile $keyfile")

WORKER_ENV: Final = Template("RINGLINE_SHARE=$share\nRINGLINE_PASSWORD=$password\n")

README: Final = Template("""\
# Mosquitto for Ringline

| file | what | who reads it |
|---|---|---|
| mosquitto.conf | the broker's settings | the broker |
| broker/dynamic-security.json | who may log in and do what; written anew at each change | the broker alone |
| worker.env | the share's name and the worker's password, both secret | workers |
| admin.json | the account that `ringline user` manages users with, secret | whoever manages users |

Start the broker, then a worker, then add users while the broker runs:

    $broker
    $worker
    $user

Do not edit dynamic-security.json while the broker runs: it would be overwritten. Keep copies of it and of the two
secret files as safe as the files themselves: Mosquitto 2.0 hashes passwords with few rounds. Started as root, the
broker becomes `$account`, who must be able to read mosquitto.conf, the certificate and its key, and to write the folder
`broker`.
""")
