package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutset-dev/cutset/framework/provider"
)

var everything = labels.Everything()

// Node is a machine, as far as the API goes: it can be drained. It implements [provider.Machine] and [provider.Drainable].
type Node struct {
	cluster *Cluster
	machine Machine
}

var _ provider.Drainable = (*Node)(nil)

// Name implements [provider.Node].
func (n *Node) Name() string { return n.machine.Name }

// NodeName is the node's own name.
func (n *Node) NodeName() string { return n.machine.Node }

// Addresses implements [provider.Machine]: the node's, then those of the instances on it, with their DNS names.
func (n *Node) Addresses() ([]string, error) {
	node, err := n.cluster.nodes.Get(n.machine.Node)
	if err != nil {
		return nil, fmt.Errorf("addresses of machine %s: %w", n.machine.Name, err)
	}
	addresses := []string{internalIP(node)}
	pods, err := n.pods()
	for _, pod := range pods {
		addresses = append(addresses, pod.Status.PodIP, dnsName(*pod))
	}
	return addresses, err
}

// MachineLabel is a label of a node: the name of its machine.
const MachineLabel = "cutset.dev/machine"

// Labels are the node's failure domains, under the last part of their well-known names.
func (n *Node) Labels() map[string]string {
	labels := map[string]string{}
	if node, err := n.cluster.nodes.Get(n.machine.Node); err == nil {
		for name, key := range map[string]string{"zone": corev1.LabelTopologyZone, "region": corev1.LabelTopologyRegion} {
			if value := node.Labels[key]; value != "" {
				labels[name] = value
			}
		}
	}
	return labels
}

// pods returns the instances on the node, by name.
func (n *Node) pods() ([]*corev1.Pod, error) {
	all, err := n.cluster.pods.List(everything)
	if err != nil {
		return nil, err
	}
	ours := slices.DeleteFunc(slices.Clone(all), func(p *corev1.Pod) bool { return p.Spec.NodeName != n.machine.Node })
	slices.SortFunc(ours, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return ours, nil
}

// Drain implements [provider.Drainable]: it cordons the node, and evicts the instances on it with their own grace periods.
func (n *Node) Drain(ctx context.Context) error {
	if err := n.cordon(ctx, true); err != nil {
		return err
	}
	pods, err := n.pods()
	if err != nil {
		return err
	}
	for _, pod := range pods {
		eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}}
		err := n.cluster.client.PolicyV1().Evictions(pod.Namespace).Evict(ctx, eviction)
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("evict %s from machine %s: %w", pod.Name, n.machine.Name, err)
		}
	}
	for {
		drained, seen, err := n.Drained(ctx)
		if drained || err != nil {
			return err
		}
		if err := Pause(ctx); err != nil {
			return fmt.Errorf("drain machine %s: %w; last seen: %s", n.machine.Name, err, seen)
		}
	}
}

// Uncordon implements [provider.Drainable].
func (n *Node) Uncordon(ctx context.Context) error { return n.cordon(ctx, false) }

func (n *Node) cordon(ctx context.Context, on bool) error {
	patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, on)
	_, err := n.cluster.client.CoreV1().Nodes().Patch(ctx, n.machine.Node, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("set whether machine %s takes new instances: %w", n.machine.Name, err)
	}
	return nil
}

// Drained implements [provider.Drainable]. It asks the API server, not the watch, which may lag.
func (n *Node) Drained(ctx context.Context) (drained bool, seen string, err error) {
	node, err := n.cluster.client.CoreV1().Nodes().Get(ctx, n.machine.Node, metav1.GetOptions{})
	if err != nil {
		return false, "", err
	}
	pods, err := n.cluster.client.CoreV1().Pods(n.cluster.options.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: n.cluster.options.Selector, FieldSelector: "spec.nodeName=" + n.machine.Node,
	})
	if err != nil {
		return false, "", err
	}
	return node.Spec.Unschedulable && len(pods.Items) == 0,
		fmt.Sprintf("machine %s: unschedulable %t, %d instances", n.machine.Name, node.Spec.Unschedulable, len(pods.Items)), nil
}

// unable is the error of what takes more than the API.
func (n *Node) unable(what string) error {
	return fmt.Errorf("%s machine %s through the API: %w", what, n.machine.Name, errors.ErrUnsupported)
}

// Crash implements [provider.Node], as do the following: the API can't.
func (n *Node) Crash(context.Context) error { return n.unable("crash") }

// Hang implements [provider.Node].
func (n *Node) Hang(context.Context) error { return n.unable("hang") }

// Resume implements [provider.Node].
func (n *Node) Resume(context.Context) error { return n.unable("resume") }

// Start implements [provider.Node].
func (n *Node) Start(context.Context) error { return n.unable("start") }

// Isolate implements [provider.Machine].
func (n *Node) Isolate(context.Context) error { return n.unable("isolate") }

// Rejoin implements [provider.Machine].
func (n *Node) Rejoin(context.Context) error { return n.unable("rejoin") }

// Isolated implements [provider.Machine].
func (n *Node) Isolated(context.Context) (isolated bool, seen string, err error) {
	return false, "", n.unable("tell the isolation of")
}

// Observe implements [provider.Node] with what the API server believes, which is late by its grace period for nodes.
func (n *Node) Observe(ctx context.Context) (provider.Observation, error) {
	node, err := n.cluster.client.CoreV1().Nodes().Get(ctx, n.machine.Node, metav1.GetOptions{})
	if err != nil {
		return provider.Observation{}, err
	}
	o := provider.Observation{State: provider.Dead, Generation: node.Status.NodeInfo.BootID}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			o.Seen = fmt.Sprintf("the API server says Ready is %s: %s", condition.Status, condition.Message)
			if condition.Status == corev1.ConditionTrue {
				o.State = provider.Running
			}
		}
	}
	return o, nil
}
