package patroni

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"text/template"

	"sigs.k8s.io/yaml"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/placement"
	"github.com/cutset-dev/cutset/framework/provider"
)

//go:embed manifests
var manifestFiles embed.FS

var manifests = template.Must(template.New("").Option("missingkey=error").ParseFS(manifestFiles, "manifests/*.yaml"))

// Selector selects the pods of a deployment on Kubernetes.
const Selector = "application=cutset"

// Server and Supervisor are the names of the processes in each of the pods.
const (
	Server     = "postgres"
	Supervisor = "patroni"
)

// Orchestrator is a cluster that deploys what it is told in Kubernetes manifests.
type Orchestrator interface {
	provider.Cluster
	Namespace() string
	// NodeOf returns the name of the node that a machine is.
	NodeOf(machine string) (string, error)
	// Apply creates what the manifests describe, or changes it to that.
	Apply(ctx context.Context, manifests []byte) error
}

// pods runs each shard as a StatefulSet, with Kubernetes for a DCS.
type pods struct {
	*Target
	cluster Orchestrator
	image   string
}

// NewOnKubernetes prepares a deployment of the placement in the cluster's namespace, with PostgreSQL and Patroni from the
// image.
func NewOnKubernetes(p placement.Placement, cluster Orchestrator, image string, commands *executor.Executor) *Target {
	t := newTarget(p, cluster, commands)
	t.runs = &pods{Target: t, cluster: cluster, image: image}
	for _, s := range p.Shards {
		for ordinal, machine := range s.Members {
			set := shardName(s.Number)
			name := fmt.Sprintf("%s-%d", set, ordinal)
			t.copies = append(t.copies, copyOf{
				Shard: s.Number, Members: len(s.Members), Instance: name, Machine: machine, Host: fmt.Sprintf("%s.%s.%s", name, set, cluster.Namespace()),
			})
		}
	}
	return t
}

func shardName(shard int) string { return fmt.Sprintf("s%d", shard) }

// prepare implements [substrate] by applying all manifests.
func (p *pods) prepare(ctx context.Context) error {
	if err := p.apply(ctx, "namespace.yaml", map[string]any{"Namespace": p.cluster.Namespace()}); err != nil {
		return err
	}
	for _, s := range p.placement.Shards {
		config, err := p.configure(s.Number, len(s.Members))
		if err != nil {
			return err
		}
		var nodes []string
		for _, member := range s.Members {
			node, err := p.cluster.NodeOf(member)
			if err != nil {
				return err
			}
			nodes = append(nodes, node)
		}
		err = p.apply(ctx, "shard.yaml", map[string]any{
			"Namespace": p.cluster.Namespace(), "Name": shardName(s.Number), "Number": s.Number, "Scope": scope(s.Number), "Nodes": nodes,
			"Image": p.image, "ServerPort": serverPort(s.Number), "RESTPort": restPort(s.Number),
			"Config": string(config), "Superuser": superuser, "SuperuserPassword": p.passwords[superuser],
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *pods) apply(ctx context.Context, name string, values map[string]any) error {
	var text bytes.Buffer
	if err := manifests.ExecuteTemplate(&text, name, values); err != nil {
		return err
	}
	if err := p.cluster.Apply(ctx, text.Bytes()); err != nil {
		return fmt.Errorf("apply %s: %w", name, err)
	}
	return nil
}

// start implements [substrate]: the controllers have started all copies already.
func (p *pods) start(context.Context, copyOf) error { return nil }

// least are the shortest timers that Patroni 4 takes, in seconds. It would replace shorter ones, and say so in its log only.
var least = map[string]int{"ttl": 20, "loop_wait": 2, "retry_timeout": 3}

// configure writes Patroni's configuration for all copies of a shard; what differs between them is in their environment.
func (p *pods) configure(shard, members int) ([]byte, error) {
	config := p.common(shard, members)
	dynamic := section(section(config, "bootstrap"), "dcs")
	for name, seconds := range least {
		if given, ok := dynamic[name].(float64); !ok || given < float64(seconds) {
			dynamic[name] = seconds
		}
	}
	config["kubernetes"] = map[string]any{
		"use_endpoints": false, "scope_label": "cluster-name", "role_label": "role", "labels": map[string]any{"application": "cutset"},
	}
	rest, server := section(config, "restapi"), section(config, "postgresql")
	rest["listen"] = fmt.Sprintf("0.0.0.0:%d", restPort(shard))
	server["listen"] = fmt.Sprintf("0.0.0.0:%d", serverPort(shard))
	server["data_dir"], server["pgpass"] = "/data/pgdata", "/tmp/pgpass"
	return yaml.Marshal(config)
}
