// Package patroni deploys and discovers a sharded PostgreSQL: each shard is one Patroni cluster, and
// a catalogue in every shard says where the others are.
package patroni

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/placement"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/target"
)

// Target implements [target.Target].
type Target struct {
	placement placement.Placement
	cluster   provider.Cluster
	commands  *executor.Executor
	http      http.Client
	runs      substrate

	passwords map[string]string
	copies    []copyOf // by shard, first the one that is deployed as primary where that can be chosen
}

var _ target.Target = (*Target)(nil)

// substrate is what the servers run on.
type substrate interface {
	// prepare sets up what all shards need, and waits for nothing.
	prepare(ctx context.Context) error
	// start starts one copy, unless it was started with others.
	start(ctx context.Context, c copyOf) error
}

// newTarget prepares a target that has no substrate and no copies yet.
func newTarget(p placement.Placement, cluster provider.Cluster, commands *executor.Executor) *Target {
	t := &Target{placement: p, cluster: cluster, commands: commands, passwords: map[string]string{}}
	t.http.Transport = &http.Transport{DialContext: cluster.Dial, MaxIdleConnsPerHost: 2, IdleConnTimeout: 10 * time.Second}
	for _, user := range []string{superuser, replicator, rewinder, client, "rest"} {
		t.passwords[user] = rand.Text()
	}
	return t
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
