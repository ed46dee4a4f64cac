//! Network modes of tasks: a plan, and the netlink and nftables that apply it.
