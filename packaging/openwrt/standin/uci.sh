# Stand-ins for what OpenWrt has to read UCI's files, for tests without OpenWrt. A
# file of UCI is taken for what it is nearly, a shell script of the commands
# config, option and list. UCI is the folder of these files.
#
# shellcheck shell=dash
# shellcheck disable=SC1090,SC2154,SC2016

config_load() {
	unset section
	# Variables of ours that a former one has left.
	eval "$(set | sed -n 's/^\(CONFIG_[A-Za-z0-9_]*\)=.*/unset \1;/p')"
	. "$UCI/$1"
}
config() { section=$2; }
option() { eval "CONFIG_${section}_$1=\$2"; }
list() {
	eval "n=\${CONFIG_${section}_$1_LENGTH:-0}"
	n=$((n + 1))
	eval "CONFIG_${section}_$1_LENGTH=$n; CONFIG_${section}_$1_ITEM$n=\$2"
}
config_get() { eval "$1=\${CONFIG_$2_$3:-${4-}}"; }
config_get_bool() {
	config_get "$@"
	eval "case \$$1 in 1 | on | true | yes | enabled) $1=1 ;; *) $1=0 ;; esac"
}
config_list_foreach() {
	local of="$1" name="$2" do="$3" i=1 length item
	shift 3
	eval "length=\${CONFIG_${of}_${name}_LENGTH:-0}"
	while [ "$i" -le "$length" ]; do
		eval "item=\$CONFIG_${of}_${name}_ITEM$i"
		"$do" "$item" "$@"
		i=$((i + 1))
	done
}
