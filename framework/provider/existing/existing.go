// Package existing takes the nodes of a Kubernetes cluster that somebody else made for machines. It finds the database's
// pods by their labels, whichever operator made them, and touches nothing without being told to, twice.
package existing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/kube"
)

// ErrNotAllowed is wrapped by the error for a run that may not inject anything.
var ErrNotAllowed = errors.New("nothing is written or injected into a cluster that is not the run's own without leave")

// Options say which cluster, which pods, and what may be done to them.
type Options struct {
	Kubeconfig, Context string // "" for the ones that kubectl would use
	// Preset has the name of one of Presets, or "" for the one that fits, and what differs from that.
	Preset Preset
	// Kube has the namespace, the selector, the server's name and the directory for logs; the rest is filled in.
	Kube kube.Options
	// Allow repeats the namespace's name; otherwise nothing is injected.
	Allow string
	// AllowSharedNodes says that a node may be failed on which pods of other namespaces run.
	AllowSharedNodes bool
}

// Cluster implements [provider.Cluster].
type Cluster struct {
	*kube.Cluster
	options Options
	preset  Preset
	shared  map[string]string // machine -> whose pods run there too
}

var _ provider.Cluster = (*Cluster)(nil)

// Open finds the pods and their nodes. It changes nothing.
func Open(ctx context.Context, options Options) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = options.Kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: options.Context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig, see -kubeconfig and -kube-context: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the pods of all namespaces: %w", err)
	}
	ours, err := client.CoreV1().Pods(options.Kube.Namespace).List(ctx, metav1.ListOptions{LabelSelector: options.Kube.Selector})
	if err != nil {
		return nil, fmt.Errorf("list the database's pods, see -namespace and -selector: %w", err)
	}
	if len(ours.Items) == 0 {
		return nil, fmt.Errorf("no pod of namespace %q matches %q; see -namespace and -selector", options.Kube.Namespace, options.Kube.Selector)
	}
	c := &Cluster{options: options, shared: map[string]string{}}
	if c.preset, err = detect(options.Preset.Name, ours.Items); err != nil {
		return nil, err
	}
	c.preset = c.preset.override(options.Preset)
	options.Kube.Container, options.Kube.Supervisor = c.preset.Container, c.preset.Supervisor
	for _, pod := range ours.Items {
		known := slices.ContainsFunc(options.Kube.Machines, func(m kube.Machine) bool { return m.Node == pod.Spec.NodeName })
		if pod.Spec.NodeName == "" || known {
			continue
		}
		node, err := client.CoreV1().Nodes().Get(ctx, pod.Spec.NodeName, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("read node %s: %w", pod.Spec.NodeName, err)
		}
		machine := kube.Machine{Name: node.Name, Node: node.Name}
		if name := node.Labels[kube.MachineLabel]; name != "" {
			machine.Name = name
		}
		options.Kube.Machines = append(options.Kube.Machines, machine)
		for _, other := range pods.Items {
			if other.Spec.NodeName == node.Name && other.Namespace != options.Kube.Namespace && !ofEveryNode(other) {
				c.shared[machine.Name] = other.Namespace + "/" + other.Name
			}
		}
	}
	slices.SortFunc(options.Kube.Machines, func(a, b kube.Machine) int { return strings.Compare(a.Name, b.Name) })
	options.Kube.REST = config
	c.Cluster, err = kube.Open(ctx, options.Kube)
	return c, err
}

// Preset says how the pods are labelled.
func (c *Cluster) Preset() Preset { return c.preset }

// ofEveryNode tells whether a pod belongs to its node: static pods, and those of DaemonSets.
func ofEveryNode(pod corev1.Pod) bool {
	owner := metav1.GetControllerOf(&pod)
	return owner != nil && (owner.Kind == "DaemonSet" || owner.Kind == "Node")
}

// Allowed returns nil when faults may be injected, and otherwise what to do to allow it.
func (c *Cluster) Allowed() error {
	if c.options.Allow == c.options.Kube.Namespace {
		return nil
	}
	return fmt.Errorf("%w; to let this run break the database in namespace %s, repeat that name: -allow-faults-in=%s",
		ErrNotAllowed, c.options.Kube.Namespace, c.options.Kube.Namespace)
}

// Unsupported implements [provider.Cluster].
func (c *Cluster) Unsupported(level faultcalc.Level, kind string) string {
	if level == faultcalc.LevelMachine && len(c.shared) > 0 && !c.options.AllowSharedNodes {
		for machine, pod := range c.shared {
			return fmt.Sprintf("on machine %s runs %s too; -allow-shared-nodes lets nodes fail nevertheless", machine, pod)
		}
	}
	return c.Cluster.Unsupported(level, kind)
}

// Machine implements [provider.Cluster]. Without leave it can be looked at, and no more.
func (c *Cluster) Machine(name string) (provider.Machine, error) {
	node, err := c.Node(name)
	if err != nil {
		return nil, err
	}
	return guarded{node, c, name}, nil
}

// Instance implements [provider.Cluster]. Without leave none can be had, whoever asks.
func (c *Cluster) Instance(name string) (provider.Instance, error) {
	if err := c.Allowed(); err != nil {
		return nil, err
	}
	return c.Cluster.Instance(name)
}

// Describe implements [provider.Cluster].
func (c *Cluster) Describe() string {
	return fmt.Sprintf("nodes of an existing Kubernetes cluster, pods %q of namespace %s", c.options.Kube.Selector, c.options.Kube.Namespace)
}

// guarded is a node that checks for leave before it is touched.
type guarded struct {
	*kube.Node
	cluster *Cluster
	name    string
}

var _ provider.Drainable = guarded{}

// Drain implements [provider.Drainable].
func (g guarded) Drain(ctx context.Context) error {
	if err := g.cluster.Allowed(); err != nil {
		return fmt.Errorf("drain machine %s: %w", g.name, err)
	}
	if why := g.cluster.Unsupported(faultcalc.LevelMachine, "drain"); why != "" {
		return fmt.Errorf("drain machine %s: %w: %s", g.name, ErrNotAllowed, why)
	}
	return g.Node.Drain(ctx)
}
