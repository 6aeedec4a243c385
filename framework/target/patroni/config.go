package patroni

import (
	"fmt"
	"maps"
)

const (
	superuser  = "postgres"
	replicator = "replicator"
	rewinder   = "rewinder"
	client     = "cutset" // what discovery and the workload connect as
	database   = "postgres"
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
	Nth      int // of the shard's copies on that machine, from 0
}

// portsApart keeps the ports of a shard's copies on one machine apart.
const portsApart = 10_000

func (c copyOf) port() int      { return serverPort(c.Shard) + c.Nth*portsApart }
func (c copyOf) server() string { return fmt.Sprintf("%s:%d", c.Host, c.port()) }
func (c copyOf) rest() string {
	return fmt.Sprintf("%s:%d", c.Host, restPort(c.Shard)+c.Nth*portsApart)
}

// common is the part of Patroni's configuration that does not depend on where the shard's copies run.
func (t *Target) common(shard, members int) map[string]any {
	account := func(user string) map[string]any {
		return map[string]any{"username": user, "password": t.passwords[user]}
	}
	return map[string]any{
		"scope":   scope(shard),
		"restapi": map[string]any{"authentication": account("rest")},
		"bootstrap": map[string]any{
			"dcs":    t.dynamic(members),
			"initdb": []any{map[string]any{"encoding": "UTF8"}, map[string]any{"locale": "C"}, map[string]any{"wal-segsize": "1"}, "data-checksums"},
			"pg_hba": []string{
				"host all all all scram-sha-256",
				"host replication " + replicator + " all scram-sha-256",
			},
		},
		"postgresql": map[string]any{
			"authentication": map[string]any{
				"superuser": account(superuser), "replication": account(replicator), "rewind": account(rewinder),
			},
			// No socket files: after a crash, the lock of one would be left on the disk.
			"parameters": map[string]any{"unix_socket_directories": ""},
		},
	}
}

// section returns a part of a configuration, to add to it.
func section(config map[string]any, name string) map[string]any {
	part, _ := config[name].(map[string]any)
	return part
}

// dynamic is the shard's configuration in the DCS: the placement's, over defaults that suit a test.
func (t *Target) dynamic(members int) map[string]any {
	config := map[string]any{
		// With every standby synchronous, each of them holds every acknowledged write and may be promoted.
		"synchronous_node_count": max(1, members-1),
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
