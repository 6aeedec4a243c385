package nodemetrics

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// nodeUsage is what is needed of metrics.k8s.io/v1beta1 NodeMetrics; k8s.io/metrics would bring code generators
// into the module graph for it.
type nodeUsage struct {
	Metadata  metav1.ObjectMeta   `json:"metadata"`
	Timestamp metav1.Time         `json:"timestamp"`
	Usage     corev1.ResourceList `json:"usage"`
}

// api makes the requests.
type api struct {
	client     *rest.RESTClient
	namespaces []string
}

func newAPI(cfg *rest.Config, namespaces []string) (*api, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.APIPath, cfg.GroupVersion = "/api", &corev1.SchemeGroupVersion
	cfg.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	cfg.ContentType, cfg.AcceptContentTypes = "application/json", "application/json"
	client, err := rest.RESTClientFor(cfg)
	if err != nil {
		return nil, err
	}
	return &api{client: client, namespaces: namespaces}, nil
}

// list gets the list at a path. It is not repeated: the next round is soon enough.
func list[T any](ctx context.Context, a *api, path string) ([]T, error) {
	raw, err := a.client.Get().AbsPath(path).MaxRetries(0).Do(ctx).Raw()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var out struct {
		Items []T `json:"items"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out.Items, nil
}

func (a *api) usage(ctx context.Context) ([]nodeUsage, error) {
	return list[nodeUsage](ctx, a, "/apis/metrics.k8s.io/v1beta1/nodes")
}

// allocatable maps nodes to what pods can have of them.
func (a *api) allocatable(ctx context.Context) (map[string]corev1.ResourceList, error) {
	nodes, err := list[struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
		Status   struct {
			Allocatable corev1.ResourceList `json:"allocatable"`
		} `json:"status"`
	}](ctx, a, "/api/v1/nodes")
	if err != nil {
		return nil, err
	}
	out := make(map[string]corev1.ResourceList, len(nodes))
	for _, n := range nodes {
		if n.Status.Allocatable != nil {
			out[n.Metadata.Name] = n.Status.Allocatable
		}
	}
	return out, nil
}

// pods maps namespace/pod to the node it runs on.
func (a *api) pods(ctx context.Context) (map[string]string, error) {
	out := make(map[string]string)
	for _, namespace := range a.namespaces {
		pods, err := list[struct {
			Metadata metav1.ObjectMeta `json:"metadata"`
			Spec     struct {
				NodeName string `json:"nodeName"`
			} `json:"spec"`
		}](ctx, a, "/api/v1/namespaces/"+namespace+"/pods")
		if err != nil {
			return nil, err
		}
		for _, p := range pods {
			if p.Spec.NodeName != "" {
				out[namespace+"/"+p.Metadata.Name] = p.Spec.NodeName
			}
		}
	}
	return out, nil
}
