// Package kind makes machines that are nodes of a Kubernetes cluster, each a container on this host.
//
// It brings up a cluster with sigs.k8s.io/kind, or takes one that is there, and adds to package kube what a container
// engine can do to a node: kill, freeze and cut it off.
package kind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/envfuncs"
	"sigs.k8s.io/e2e-framework/support"
	kindcluster "sigs.k8s.io/e2e-framework/support/kind"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/kube"
	"github.com/cutset-dev/cutset/framework/provider/owner"
)

// ErrEngine is wrapped by the error for a container engine that does not answer.
var ErrEngine = errors.New("no container engine answers; start Docker, or let `make kind DOCKER=install` do it")

// Options say which cluster to use or make, and where to leave its traces.
type Options struct {
	Name     string   // of the cluster
	Reuse    bool     // a cluster of that name, if there is one
	Keep     bool     // when it is closed
	Config   string   // kind's configuration file
	Image    string   // of the nodes; "" for kind's own
	Load     []string // images that the nodes are given
	Machines []string // placed on the worker nodes, in their order
	State    string   // file in which the cluster records itself for another process
	// Kube is passed on, with its connection and machines filled in.
	Kube kube.Options
}

// Cluster implements [provider.Cluster].
type Cluster struct {
	*kube.Cluster
	state     state
	file      string
	unbounded string // why the machines have no disks of their own, or ""
}

var (
	_ provider.Cluster     = (*Cluster)(nil)
	_ provider.LogExporter = (*Cluster)(nil)
)

// network is the engine's network that a cluster has for itself.
func network(cluster string) string { return "cutset-" + cluster }

// kindProgram returns the path of the kind that go.mod pins, built if need be.
func kindProgram(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "tool", "-n", "kind").Output()
	if err == nil {
		return strings.TrimSpace(string(out)), nil
	}
	path, missing := exec.LookPath("kind")
	if missing != nil {
		return "", fmt.Errorf("find kind: `go tool -n kind` says %w, and none is in the PATH; add it with `go get -tool sigs.k8s.io/kind`", err)
	}
	return path, nil
}

// Open makes the cluster, or takes the one that is there, and loads the images. What it made is removed again when it fails.
func Open(ctx context.Context, options Options) (*Cluster, error) {
	if _, err := docker(ctx, "info", "--format", "{{.ServerVersion}}"); err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrEngine, err)
	}
	program, err := kindProgram(ctx)
	if err != nil {
		return nil, err
	}
	// kind has no other way to be told; its commands are children of this process.
	if err := os.Setenv("KIND_EXPERIMENTAL_DOCKER_NETWORK", network(options.Name)); err != nil {
		return nil, err
	}
	there, err := containers(ctx, options.Name)
	if err != nil {
		return nil, err
	}
	exists := len(there) > 0
	if exists && !options.Reuse {
		return nil, fmt.Errorf("there is a kind cluster %s already; use it with -cluster=%s, or remove it with `kind delete cluster --name %s`",
			options.Name, options.Name, options.Name)
	}
	c := &Cluster{file: options.State, state: state{
		Owner: owner.Self(), Name: options.Name, Keep: options.Keep || exists,
		Namespace: options.Kube.Namespace, Selector: options.Kube.Selector, Server: options.Kube.Server, Supervisor: options.Kube.Supervisor,
	}}
	if err := c.record(); err != nil { // before the first container
		return nil, err
	}
	if err := c.keepApart(); err != nil {
		return nil, err
	}
	config, err := c.up(ctx, options, program)
	if err == nil {
		err = c.open(ctx, config, options.Kube)
	}
	if err == nil && c.unbounded == "" {
		if wrong := c.checkDisks(ctx); wrong != nil {
			c.unbounded = wrong.Error()
		}
	}
	if err == nil && exists {
		err = c.DeleteNamespace(ctx) // what an earlier run left there
	}
	if err == nil {
		err = c.record()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// up brings the cluster to where its nodes are ready and have the images.
func (c *Cluster) up(ctx context.Context, options Options, program string) (*rest.Config, error) {
	opts := []support.ClusterOpts{kindcluster.WithPath(program)}
	if options.Image != "" {
		opts = append(opts, kindcluster.WithImage(options.Image))
	}
	file := options.Config
	if c.unbounded = unbounded(ctx, c.state.Keep); c.unbounded == "" {
		if with, err := c.withDisks(options.Config); err == nil {
			file = with
		} else {
			c.unbounded = err.Error()
		}
	}
	env := envconf.New()
	ctx, err := envfuncs.CreateClusterWithConfig(kindcluster.NewProvider(), options.Name, file, opts...)(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("create the kind cluster %s: %w", options.Name, err)
	}
	defer os.Remove(env.KubeconfigFile()) //nolint:errcheck // a temporary copy; the state has its content
	if c.state.Kubeconfig, err = os.ReadFile(env.KubeconfigFile()); err != nil {
		return nil, err
	}
	for _, image := range options.Load {
		if ctx, err = envfuncs.LoadImageToCluster(options.Name, image)(ctx, env); err != nil {
			return nil, fmt.Errorf("give image %s to the nodes: %w", image, err)
		}
	}
	config := env.Client().RESTConfig()
	return config, c.assign(ctx, config, options.Machines)
}

// assign gives each machine of a placement a worker node, and waits until those are ready.
func (c *Cluster) assign(ctx context.Context, config *rest.Config, machines []string) error {
	workers, err := containers(ctx, c.state.Name, "label=io.x-k8s.kind.role=worker")
	if err != nil {
		return err
	}
	if len(workers) < len(machines) {
		return fmt.Errorf("the placement has %d machines, and the cluster %d worker nodes; add workers to its configuration, see -kind-config",
			len(machines), len(workers))
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	c.state.Machines = nil
	for at, name := range machines {
		for {
			node, err := client.CoreV1().Nodes().Get(ctx, workers[at], metav1.GetOptions{})
			if err == nil && ready(node) {
				break
			}
			if stop := kube.Pause(ctx); stop != nil {
				return fmt.Errorf("wait for node %s to be ready: %w; last seen: %v, %w", workers[at], stop, node.Status.Conditions, err)
			}
		}
		label := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, kube.MachineLabel, name)
		if _, err := client.CoreV1().Nodes().Patch(ctx, workers[at], types.StrategicMergePatchType, label, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("label node %s: %w", workers[at], err)
		}
		c.state.Machines = append(c.state.Machines, kube.Machine{Name: name, Node: workers[at]})
	}
	return nil
}

func ready(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// open connects to the cluster that is up.
func (c *Cluster) open(ctx context.Context, config *rest.Config, options kube.Options) error {
	var err error
	options.REST, options.Machines = config, c.state.Machines
	c.Cluster, err = kube.Open(ctx, options)
	return err
}

// containers returns the names of the cluster's nodes that pass the engine's filters, sorted.
func containers(ctx context.Context, cluster string, filters ...string) ([]string, error) {
	args := []string{"ps", "--all", "--filter", "label=io.x-k8s.kind.cluster=" + cluster, "--format", "{{.Names}}"}
	for _, f := range filters {
		args = append(args, "--filter", f)
	}
	out, err := docker(ctx, args...)
	names := strings.Fields(out)
	slices.Sort(names)
	return names, err
}

// Machine implements [provider.Cluster].
func (c *Cluster) Machine(name string) (provider.Machine, error) {
	node, err := c.Node(name)
	if err != nil {
		return nil, err
	}
	return &machine{Node: node, cluster: c}, nil
}

// running returns the addresses of the nodes that are up, by name.
func (c *Cluster) running(ctx context.Context) (map[string]string, error) {
	names, err := containers(ctx, c.state.Name)
	if err != nil {
		return nil, err
	}
	const format = `{{.Name}} {{.State.Status}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}`
	out, err := docker(ctx, append([]string{"container", "inspect", "--format", format}, names...)...)
	up := map[string]string{}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 3 && f[1] == running {
			up[strings.TrimPrefix(f[0], "/")] = f[2]
		}
	}
	return up, err
}

// rangesBut returns the addresses of all other nodes and the ranges of their pods.
func (c *Cluster) rangesBut(ctx context.Context, node string) ([]string, error) {
	all, err := c.Nodes()
	if err != nil {
		return nil, err
	}
	var ranges []string
	for _, n := range all {
		if n.Name == node {
			continue
		}
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP && !strings.Contains(a.Address, ":") {
				ranges = append(ranges, a.Address)
			}
		}
		if !strings.Contains(n.Spec.PodCIDR, ":") && n.Spec.PodCIDR != "" {
			ranges = append(ranges, n.Spec.PodCIDR)
		}
	}
	return ranges, ctx.Err()
}

// Unsupported implements [provider.Cluster].
func (c *Cluster) Unsupported(level faultcalc.Level, kind string) string {
	switch {
	case level != faultcalc.LevelMachine:
		return c.Cluster.Unsupported(level, kind)
	case kind == "disk-full":
		return c.unbounded
	}
	return ""
}

// Describe implements [provider.Cluster].
func (c *Cluster) Describe() string {
	return fmt.Sprintf("nodes of the kind cluster %s", c.state.Name)
}

// ExportLogs writes all that kind knows to collect of the nodes to the directory.
func (c *Cluster) ExportLogs(ctx context.Context, dir string) error {
	program, err := kindProgram(ctx)
	if err != nil {
		return err
	}
	return kindcluster.NewCluster(c.state.Name).WithPath(program).ExportLogs(ctx, dir)
}

// Close implements [provider.Cluster]. On a cluster that is kept, the database stays for people to look at.
func (c *Cluster) Close(ctx context.Context) error {
	var errs []error
	if c.Cluster != nil {
		errs = append(errs, c.Cluster.Close(ctx))
	}
	if !c.state.Keep {
		errs = append(errs, c.keepApart())
		errs = append(errs, remove(ctx, c.state.Name), removeDisks(c.state.Name))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take the kind cluster %s down: %w", c.state.Name, err)
	}
	if c.file == "" {
		return nil
	}
	for _, file := range []string{c.kubeconfig(), c.file} {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// remove deletes the cluster's containers, with their volumes, and its network. It needs no kubeconfig.
func remove(ctx context.Context, name string) error {
	program, err := kindProgram(ctx)
	if err != nil {
		return err
	}
	err = kindcluster.NewCluster(name).WithPath(program).Destroy(ctx)
	found, findErr := docker(ctx, "network", "ls", "--quiet", "--filter", "name=^"+network(name)+"$")
	if found != "" {
		_, findErr = docker(ctx, "network", "rm", network(name))
	}
	return cmp.Or(err, findErr)
}
