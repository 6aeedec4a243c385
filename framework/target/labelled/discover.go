package labelled

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/kube"
)

// ErrDisagree is wrapped by the error for pods whose labels and servers say different things.
var ErrDisagree = errors.New("the pods' labels and their servers disagree")

// serverView is what a server says of itself, and a primary of those that follow it.
type serverView struct {
	Recovering  bool
	Synchronous bool     // acknowledged writes wait for standbys
	Streaming   []string // addresses, and names
	InSync      []string
}

const look = `SELECT pg_is_in_recovery(), current_setting('synchronous_standby_names') <> '' AND current_setting('synchronous_commit') <> 'local',
	coalesce((SELECT array_agg(x) FROM pg_stat_replication, unnest(ARRAY[host(client_addr), application_name]) x WHERE state = 'streaming'), '{}'),
	coalesce((SELECT array_agg(x) FROM pg_stat_replication, unnest(ARRAY[host(client_addr), application_name]) x
		WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')), '{}')`

// Discover implements [target.Target]: components 1 and 2 of method 1, "Inputs", are the pods and their nodes, and
// component 3 the labels, which the servers have to confirm. entry is not used: there is one API server.
func (t *Target) Discover(ctx context.Context, _ string) (faultcalc.Topology, error) {
	pods, err := t.cluster.Pods(ctx)
	if err != nil {
		return faultcalc.Topology{}, err
	}
	var topology faultcalc.Topology
	for _, name := range t.cluster.Machines() {
		m, err := t.cluster.Machine(name)
		if err != nil {
			return topology, err
		}
		addresses, err := m.Addresses()
		if err != nil {
			return topology, err
		}
		topology.Machines = append(topology.Machines, faultcalc.Machine{Name: name, Labels: provider.LabelsOf(m), Addresses: addresses})
	}
	table := faultcalc.Table{Name: t.table, Rule: faultcalc.RuleAny}
	for i := range t.shards {
		shard := faultcalc.Shard{Number: i + 1}
		members := slices.DeleteFunc(slices.Clone(pods), func(p kube.Pod) bool { return t.shardOf(p) != i+1 })
		for _, pod := range members {
			if pod.Machine == "" {
				return topology, fmt.Errorf("pod %s is not on one of the machines %v; it moved, or waits for a node", pod.Name, t.cluster.Machines())
			}
			topology.Instances = append(topology.Instances, faultcalc.Instance{
				Name: pod.Name, Machine: pod.Machine, Address: net.JoinHostPort(pod.Host, strconv.Itoa(pod.Port)),
			})
		}
		if shard.Replicas, err = t.replicas(ctx, members); err != nil {
			return topology, fmt.Errorf("shard %d, %s: %w", i+1, t.shards[i], err)
		}
		table.Shards = append(table.Shards, shard)
	}
	topology.Tables = []faultcalc.Table{table}
	slices.SortStableFunc(topology.Instances, func(a, b faultcalc.Instance) int {
		return cmp.Compare(slices.Index(t.cluster.Machines(), a.Machine), slices.Index(t.cluster.Machines(), b.Machine))
	})
	return topology, topology.Validate()
}

// replicas says what each of a shard's pods may do.
func (t *Target) replicas(ctx context.Context, members []kube.Pod) ([]faultcalc.Replica, error) {
	at := slices.IndexFunc(members, t.isPrimary)
	if at < 0 {
		return nil, fmt.Errorf("no pod has a label %s that says primary", t.preset.Role)
	}
	primary, err := t.view(ctx, members[at])
	if err != nil {
		return nil, err
	}
	if primary.Recovering {
		return nil, fmt.Errorf("%w: %s is labelled primary, and its server is a standby", ErrDisagree, members[at].Name)
	}
	var replicas []faultcalc.Replica
	for i, pod := range members {
		r := faultcalc.Replica{Instance: pod.Name, Role: faultcalc.RoleStandby, State: faultcalc.StateUnavailable}
		among := func(list []string) bool { return slices.Contains(list, pod.IP) || slices.Contains(list, pod.Name) }
		switch {
		case i == at:
			r.Role, r.State = faultcalc.RolePrimary, faultcalc.StateAvailable
		case t.isPrimary(pod):
			return nil, fmt.Errorf("%w: %s and %s are both labelled primary", ErrDisagree, members[at].Name, pod.Name)
		case pod.Ready && among(primary.Streaming):
			r.State = faultcalc.StateAvailable
		}
		if i != at && primary.Synchronous && !among(primary.InSync) {
			r.Role = faultcalc.RoleAsync
		}
		if i != at && r.State == faultcalc.StateAvailable {
			if own, err := t.view(ctx, pod); err != nil {
				return nil, err
			} else if !own.Recovering {
				return nil, fmt.Errorf("%w: %s is labelled a standby, and its server takes writes", ErrDisagree, pod.Name)
			}
		}
		replicas = append(replicas, r)
	}
	return replicas, nil
}

func (t *Target) view(ctx context.Context, pod kube.Pod) (serverView, error) {
	views, err := ask(ctx, t, "ask the server for its role", pod, look, pgx.RowToStructByPos[serverView])
	if err != nil {
		return serverView{}, err
	}
	return views[0], nil
}
