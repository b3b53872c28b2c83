# Shared by the tests of the chat's commands.
# shellcheck shell=bash

# chat_tokens [OPTION...]: a secret in this folder, and tokens by it for every room: viewer, of whom OPTIONs say more, and mod.
chat_tokens() {
	(umask 077
		echo "a secret of thirty-two bytes, no less" >secret
		lv-auth token '*' --token-secret secret --user 1 "$@" >viewer
		lv-auth token '*' --token-secret secret --user 2 --role mod >mod)
}
