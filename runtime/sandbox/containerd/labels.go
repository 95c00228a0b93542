package containerd

import (
	"fmt"
	"strconv"

	"sluice/runtime/sandbox"
)

// Labels of a container. They are what a restarted daemon knows of it.
const (
	labelTenant      = "sluice.tenant"
	labelFunction    = "sluice.function"
	labelVersion     = "sluice.version"
	labelLease       = "sluice.lease"
	labelPort        = "sluice.port"
	labelLog         = "sluice.log"
	labelFunctionDir = "sluice.function-dir"
)

func makeLabels(spec sandbox.Spec) map[string]string {
	identity := spec.Identity()
	return map[string]string{
		labelTenant: identity.Tenant, labelFunction: identity.Function, labelVersion: identity.Version, labelLease: identity.LeaseID,
		labelPort: strconv.Itoa(spec.Port), labelLog: identity.LogPath, labelFunctionDir: identity.FunctionDir,
	}
}

func parseLabels(id string, labels map[string]string) (sandbox.Identity, int, error) {
	port, err := strconv.Atoi(labels[labelPort])
	if err != nil || port < 0 || port > sandbox.PortMax {
		return sandbox.Identity{}, 0, fmt.Errorf("container %s: label %s is %q", id, labelPort, labels[labelPort])
	}
	return sandbox.Identity{
		ID: id, Tenant: labels[labelTenant], Function: labels[labelFunction], Version: labels[labelVersion],
		LeaseID: labels[labelLease], LogPath: labels[labelLog], FunctionDir: labels[labelFunctionDir],
	}, port, nil
}
