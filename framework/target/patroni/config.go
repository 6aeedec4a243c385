package patroni

import (
	"fmt"
	"maps"
	"path"

	"sigs.k8s.io/yaml"
)

const (
	superuser   = "postgres"
	replicator  = "replicator"
	rewinder    = "rewinder"
	client      = "cutset" // what discovery and the workload connect as
	database    = "postgres"
	etcdClients = 2379
	etcdPeers   = 2380
)

// A shard's ports are the same on every machine, and no two shards on one machine share them.
func serverPort(shard int) int { return 5432 + shard }
func restPort(shard int) int   { return 8008 + shard }

// scope is what Patroni calls a cluster: one shard.
func scope(shard int) string { return fmt.Sprintf("shard-%d", shard) }

// copyOf is one copy of a shard, as it is placed.
type copyOf struct {
	Shard    int
	Members  int // copies of its shard, this one included
	Instance string
	Machine  string
	Host     string
}

func (c copyOf) server() string { return fmt.Sprintf("%s:%d", c.Host, serverPort(c.Shard)) }
func (c copyOf) rest() string   { return fmt.Sprintf("%s:%d", c.Host, restPort(c.Shard)) }

// configure writes Patroni's configuration for one copy. dir is the copy's directory, as it is seen
// on its machine.
func (t *Target) configure(c copyOf, dir string) ([]byte, error) {
	account := func(user string) map[string]any {
		return map[string]any{"username": user, "password": t.passwords[user]}
	}
	dcs := make([]string, 0, len(t.placement.DCS.Machines))
	for _, host := range t.dcsHosts {
		dcs = append(dcs, fmt.Sprintf("%s:%d", host, etcdClients))
	}
	return yaml.Marshal(map[string]any{
		"scope": scope(c.Shard), "namespace": "/cutset/", "name": c.Instance,
		"restapi": map[string]any{
			"listen": c.rest(), "connect_address": c.rest(), "authentication": account("rest"),
		},
		t.placement.DCS.API: map[string]any{"hosts": dcs},
		"bootstrap": map[string]any{
			"dcs":    t.dynamic(c),
			"initdb": []any{map[string]any{"encoding": "UTF8"}, map[string]any{"locale": "C"}, map[string]any{"wal-segsize": "1"}, "data-checksums"},
			"pg_hba": []string{
				"host all all samenet scram-sha-256",
				"host replication " + replicator + " samenet scram-sha-256",
			},
		},
		"postgresql": map[string]any{
			"listen": c.server(), "connect_address": c.server(),
			"data_dir": path.Join(dir, "data"), "bin_dir": t.bin, "pgpass": path.Join(dir, "pgpass"),
			"authentication": map[string]any{
				"superuser": account(superuser), "replication": account(replicator), "rewind": account(rewinder),
			},
			// No socket files: after a crash, the lock of one would be left on the disk.
			"parameters": map[string]any{"unix_socket_directories": ""},
		},
	})
}

// dynamic is the shard's configuration in the DCS: the placement's, over defaults that suit a test.
func (t *Target) dynamic(c copyOf) map[string]any {
	config := map[string]any{
		// With every standby synchronous, each of them holds every acknowledged write and may be promoted.
		"synchronous_node_count": max(1, c.Members-1),
		"postgresql": map[string]any{
			"use_pg_rewind": true,
			"parameters": map[string]any{
				"shared_buffers": "16MB",
				// In the data directory, where it goes with the rest when a killed run is cleaned up.
				"dynamic_shared_memory_type": "mmap",
				"max_connections":            100,
				// A peer that is hung or cut off keeps its connection open; these end it.
				"wal_sender_timeout":               "3s",
				"wal_receiver_timeout":             "3s",
				"client_connection_check_interval": "1s",
				"password_encryption":              "scram-sha-256",
				"log_line_prefix":                  "%m [%p] ",
			},
		},
	}
	maps.Copy(config, t.placement.Patroni.Config)
	delete(config, paused) // Patroni does not bootstrap while it is paused: see Deploy
	return config
}

// etcdArgs returns the arguments of one member of the DCS.
func (t *Target) etcdArgs(at int) []string {
	url := func(host string, port int) string { return fmt.Sprintf("http://%s:%d", host, port) }
	host := t.dcsHosts[at]
	cluster := ""
	for i, name := range t.placement.DCS.Machines {
		cluster += fmt.Sprintf(",%s=%s", etcdName(name), url(t.dcsHosts[i], etcdPeers))
	}
	return []string{
		"etcd", "--name", etcdName(t.placement.DCS.Machines[at]), "--data-dir", "data", "--enable-v2=true",
		"--listen-client-urls", url(host, etcdClients), "--advertise-client-urls", url(host, etcdClients),
		"--listen-peer-urls", url(host, etcdPeers), "--initial-advertise-peer-urls", url(host, etcdPeers),
		"--initial-cluster", cluster[1:], "--log-level", "warn",
	}
}

func etcdName(machine string) string { return "etcd-" + machine }
