// Package patroni deploys and discovers a sharded PostgreSQL: each shard is one Patroni cluster, and
// a catalogue in every shard says where the others are.
package patroni

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/placement"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/target"
)

// ErrNotInstalled is wrapped by the error for a program that is missing on this host.
var ErrNotInstalled = errors.New("not installed; run hack/setup")

const oldestServer = 15 // the oldest major version of PostgreSQL that is tested with

// Target implements [target.Target].
type Target struct {
	placement placement.Placement
	cluster   provider.Cluster
	commands  *executor.Executor
	http      http.Client

	bin       string // PostgreSQL's programs
	passwords map[string]string
	dcsHosts  []string
	copies    []copyOf // by shard, first the one that is deployed as primary
}

var _ target.Target = (*Target)(nil)

// New prepares a deployment of the placement on the cluster. All of its commands go through the executor,
// in the class "probe".
func New(p placement.Placement, cluster provider.Cluster, commands *executor.Executor) (*Target, error) {
	t := &Target{placement: p, cluster: cluster, commands: commands, passwords: map[string]string{}}
	t.http.Transport = &http.Transport{DialContext: cluster.Dial, MaxIdleConnsPerHost: 2, IdleConnTimeout: 10 * time.Second}
	for _, user := range []string{superuser, replicator, rewinder, client, "rest"} {
		t.passwords[user] = rand.Text()
	}
	for _, name := range p.DCS.Machines {
		host, err := t.hostOf(name)
		if err != nil {
			return nil, err
		}
		t.dcsHosts = append(t.dcsHosts, host)
	}
	for _, s := range p.Shards {
		for _, name := range s.Members {
			host, err := t.hostOf(name)
			if err != nil {
				return nil, err
			}
			t.copies = append(t.copies, copyOf{s.Number, len(s.Members), s.Instance(name), name, host})
		}
	}
	var err error
	t.bin, err = findServer()
	return t, err
}

func (t *Target) hostOf(machine string) (string, error) {
	m, err := t.cluster.Machine(machine)
	if err != nil {
		return "", err
	}
	addresses, err := m.Addresses()
	if err != nil {
		return "", err
	}
	return addresses[0], nil
}

// findServer returns the directory of the newest installed PostgreSQL's programs.
func findServer() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil { //nolint:noctx // prints and ends
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	best, newest := "", oldestServer-1
	for _, dir := range dirs {
		out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output() //nolint:noctx,gosec // prints and ends
		fields := strings.Fields(string(out))
		if err != nil || len(fields) < 3 {
			continue
		}
		major, _, _ := strings.Cut(fields[2], ".")
		if version, err := strconv.Atoi(major); err == nil && version > newest {
			best, newest = dir, version
		}
	}
	if best == "" {
		return "", fmt.Errorf("find a PostgreSQL server of version %d or newer: %w", oldestServer, ErrNotInstalled)
	}
	return best, nil
}

// Entry implements [target.Target].
func (t *Target) Entry() string { return t.copies[0].server() }

// Table implements [target.Target].
func (t *Target) Table() target.Table {
	table := target.Table{Name: t.placement.Table}
	for _, s := range t.placement.Shards {
		table.Shards = append(table.Shards, s.Number)
	}
	return table
}

// copiesOf returns the shard's copies.
func (t *Target) copiesOf(shard int) []copyOf {
	return slices.DeleteFunc(slices.Clone(t.copies), func(c copyOf) bool { return c.Shard != shard })
}

// probe runs one look at the target through the executor. what and on name it for messages and alerts.
func probe[R any](ctx context.Context, t *Target, what, on string, run func(ctx context.Context) (R, error)) (R, error) {
	r, err := executor.Do(ctx, t.commands, executor.Command[R]{
		Name: what, Class: "probe", Target: on, Idempotent: true,
		Run: func(ctx context.Context, _ executor.Attempt) (R, error) { return run(ctx) },
		// Whoever looks at a database that is being broken gets refusals for answers. Who waits looks again.
		Classify: func(error) executor.Verdict { return executor.VerdictAnswer },
	})
	if err != nil {
		return r, fmt.Errorf("%s on %s: %w", what, on, err)
	}
	return r, nil
}

// host returns the host part of host:port.
func host(address string) string {
	h, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return h
}
