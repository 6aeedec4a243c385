package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pod is an instance as the API server describes it.
type Pod struct {
	Name    string
	Machine string // "" where its node is no machine of the cluster
	Labels  map[string]string
	Host    string // the name that others use: a DNS name where it has one, or its address
	IP      string
	Port    int  // where the server listens
	Ready   bool // says its own readiness probe
}

// Pods returns the instances that there are, by name. It asks the API server.
func (c *Cluster) Pods(ctx context.Context) ([]Pod, error) {
	list, err := c.client.CoreV1().Pods(c.options.Namespace).List(ctx, metav1.ListOptions{LabelSelector: c.options.Selector})
	if err != nil {
		return nil, fmt.Errorf("list the pods of namespace %s that match %q: %w", c.options.Namespace, c.options.Selector, err)
	}
	var pods []Pod
	for _, p := range list.Items {
		pod := Pod{Name: p.Name, Labels: p.Labels, IP: p.Status.PodIP, Port: serverPort(p.Spec, c.options.Container)}
		if pod.Host = pod.IP; p.Spec.Subdomain != "" {
			pod.Host = dnsName(p)
		}
		for _, m := range c.options.Machines {
			if m.Node == p.Spec.NodeName {
				pod.Machine = m.Name
			}
		}
		for _, condition := range p.Status.Conditions {
			pod.Ready = pod.Ready || condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
		}
		pods = append(pods, pod)
	}
	slices.SortFunc(pods, func(a, b Pod) int { return strings.Compare(a.Name, b.Name) })
	return pods, nil
}

// dnsName is what a pod of a StatefulSet is called in its namespace's DNS zone.
func dnsName(p corev1.Pod) string {
	return fmt.Sprintf("%s.%s.%s", p.Name, p.Spec.Subdomain, p.Namespace)
}

// serverPort is the container's port that is called after PostgreSQL, or else PostgreSQL's own.
func serverPort(spec corev1.PodSpec, container string) int {
	for _, c := range spec.Containers {
		if container != "" && c.Name != container {
			continue
		}
		for _, p := range c.Ports {
			if strings.HasPrefix(p.Name, "postgres") {
				return int(p.ContainerPort)
			}
		}
	}
	const standard = 5432
	return standard
}

// Secret returns the values of a Secret in the instances' namespace.
func (c *Cluster) Secret(ctx context.Context, name string) (map[string]string, error) {
	secret, err := c.client.CoreV1().Secrets(c.options.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read Secret %s of namespace %s: %w", name, c.options.Namespace, err)
	}
	values := map[string]string{}
	for key, value := range secret.Data {
		values[key] = string(value)
	}
	return values, nil
}
