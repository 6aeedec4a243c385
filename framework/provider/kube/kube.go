// Package kube finds, reaches and fails the instances of a database on Kubernetes, through the cluster's API alone.
//
// An instance is a pod, a machine a node. What it takes to fail a node as a whole depends on what the node is made of:
// see package kind.
package kube

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/cutset-dev/cutset/executor/podexec"
	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
)

// Options say which pods of which cluster are the database's.
type Options struct {
	REST      *rest.Config
	Namespace string
	Selector  string // of the instances' pods, as kubectl takes it; "" for all of the namespace
	Container string // the one that the server runs in; "" for a pod's only or default one
	// Server and Supervisor are the names of the server's processes, and of the one that starts it again.
	Server, Supervisor string
	Machines           []Machine
	Logs               string // existing directory for the pods' logs, and the namespace's events
}

// Machine is the name that a node has in a placement.
type Machine struct {
	Name string `json:"name"`
	Node string `json:"node"`
}

// Cluster implements [provider.Cluster].
type Cluster struct {
	options Options
	client  kubernetes.Interface
	exec    *podexec.Client
	pods    listers.PodNamespaceLister
	nodes   listers.NodeLister
	stop    func()

	mu   sync.Mutex
	seen map[string]bool // names of instances, so that one that is away at the moment is known
}

var _ provider.Cluster = (*Cluster)(nil)

// Open watches the cluster. It changes nothing there.
func Open(ctx context.Context, options Options) (*Cluster, error) {
	client, err := kubernetes.NewForConfig(options.REST)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	exec, err := podexec.New(podexec.Config{REST: options.REST})
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	c := &Cluster{options: options, client: client, exec: exec, seen: map[string]bool{}}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	ours := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(options.Namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = options.Selector }))
	all := informers.NewSharedInformerFactory(client, 0)
	c.stop = func() {
		stop()
		ours.Shutdown()
		all.Shutdown()
	}
	c.pods = ours.Core().V1().Pods().Lister().Pods(options.Namespace)
	c.nodes = all.Core().V1().Nodes().Lister()
	followLogs := c.logs(watching)
	see := func(object any) {
		if pod, ok := object.(*corev1.Pod); ok {
			c.mu.Lock()
			c.seen[pod.Name] = true
			c.mu.Unlock()
			followLogs(pod)
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: see, UpdateFunc: func(_, now any) { see(now) }}
	if _, err := ours.Core().V1().Pods().Informer().AddEventHandler(handler); err != nil {
		stop()
		return nil, err
	}
	if err := c.logEvents(watching); err != nil {
		stop()
		return nil, err
	}
	for _, f := range []informers.SharedInformerFactory{ours, all} {
		f.Start(watching.Done())
		for kind, synced := range f.WaitForCacheSync(ctx.Done()) {
			if !synced {
				c.stop()
				return nil, fmt.Errorf("list the cluster's %s: %w", kind, context.Cause(ctx))
			}
		}
	}
	return c, nil
}

// Namespace is where the instances are.
func (c *Cluster) Namespace() string { return c.options.Namespace }

// REST is the connection to the API server.
func (c *Cluster) REST() *rest.Config { return c.options.REST }

// Machines implements [provider.Cluster].
func (c *Cluster) Machines() []string {
	names := make([]string, len(c.options.Machines))
	for i, m := range c.options.Machines {
		names[i] = m.Name
	}
	return names
}

// Machine implements [provider.Cluster]. It is a [*Node].
func (c *Cluster) Machine(name string) (provider.Machine, error) { return c.Node(name) }

// Node returns the machine of that name.
func (c *Cluster) Node(name string) (*Node, error) {
	at := slices.IndexFunc(c.options.Machines, func(m Machine) bool { return m.Name == name })
	if at < 0 {
		return nil, fmt.Errorf("machine %q: %w; there are %v", name, provider.ErrUnknownNode, c.Machines())
	}
	return &Node{cluster: c, machine: c.options.Machines[at]}, nil
}

// Instance implements [provider.Cluster]: its name is the pod's.
func (c *Cluster) Instance(name string) (provider.Instance, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.seen[name] {
		return nil, fmt.Errorf("instance %q: %w; no pod of namespace %s that matches %q had that name",
			name, provider.ErrUnknownNode, c.options.Namespace, c.options.Selector)
	}
	return newInstance(c, name), nil
}

// Unsupported implements [provider.Cluster].
func (c *Cluster) Unsupported(level faultcalc.Level, kind string) string {
	switch {
	case level == faultcalc.LevelInstance && kind == "crash":
		return "the kubelet starts a killed container again at once: see pod-delete and server-kill"
	case kind == "supervisor-kill":
		return "the supervisor is the first process of its container, which ends with it, and the server too: see pod-delete"
	case level == faultcalc.LevelMachine && kind != "drain":
		return "through the API alone a node can be drained, and nothing else"
	}
	return ""
}

// Describe implements [provider.Cluster].
func (c *Cluster) Describe() string {
	return fmt.Sprintf("Kubernetes nodes, pods of namespace %s", c.options.Namespace)
}

// Close implements [provider.Cluster]: it ends the watches, and leaves the cluster as it is.
func (c *Cluster) Close(ctx context.Context) error {
	c.stop()
	return c.exec.Close(ctx)
}

// pod finds an instance by the host part of an address: its IP address, its name, or a DNS name that begins with that.
func (c *Cluster) pod(host string) (*corev1.Pod, error) {
	if net.ParseIP(host) == nil {
		name, _, _ := strings.Cut(host, ".")
		return c.pods.Get(name)
	}
	all, err := c.pods.List(everything)
	for _, pod := range all {
		if pod.Status.PodIP == host {
			return pod, nil
		}
	}
	return nil, cmp.Or(err, fmt.Errorf("no instance has the address %s", host))
}

// Dial implements [provider.Cluster]. Where the port is a host port, as it is where the client shares a network with the
// nodes, it goes there: through the node's network and nothing else.
func (c *Cluster) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	pod, err := c.pod(host)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	for _, container := range pod.Spec.Containers {
		for _, p := range container.Ports {
			if fmt.Sprint(p.ContainerPort) == port && p.HostPort != 0 {
				node, err := c.nodes.Get(pod.Spec.NodeName)
				if err != nil {
					return nil, fmt.Errorf("dial %s: %w", address, err)
				}
				var dialer net.Dialer
				return dialer.DialContext(ctx, network, net.JoinHostPort(internalIP(node), fmt.Sprint(p.HostPort)))
			}
		}
	}
	return c.forward(ctx, pod.Name, port)
}

func internalIP(node *corev1.Node) string {
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	return ""
}

// within returns what is left of the context's time, or the time that one round trip may take.
func within(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline)
	}
	return 10 * time.Second
}

// Nodes returns all nodes of the cluster.
func (c *Cluster) Nodes() ([]*corev1.Node, error) { return c.nodes.List(everything) }

// DeleteNamespace removes the instances' namespace with all that is in it.
func (c *Cluster) DeleteNamespace(ctx context.Context) error {
	namespaces := c.client.CoreV1().Namespaces()
	for {
		err := namespaces.Delete(ctx, c.options.Namespace, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("delete namespace %s: %w", c.options.Namespace, err)
		}
		if err := Pause(ctx); err != nil {
			return fmt.Errorf("wait for namespace %s to be gone: %w", c.options.Namespace, err)
		}
	}
}
