package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/broker"
	"sluice/proto/gen/control"
	"sluice/proto/gen/inference"
)

// Two tenants at once: neither can see, call, or guess anything of the other's, nor slow it down; each door is tried.
func TestTenantsShareADaemon(t *testing.T) {
	s := startShared(t)
	acme, other := s.tenant(t, s.keys["acme"]), s.tenant(t, s.keys["other"])
	for _, c := range []tenant{acme, other} {
		c.deploy(t, "simple") // of the same name, and two things
		if err := c.infer(t, "simple"); err != nil {
			t.Fatal(err)
		}
	}
	acme.deploy(t, "hidden")
	if err := acme.infer(t, "hidden"); err != nil {
		t.Fatal(err)
	}

	t.Run("gateway", func(t *testing.T) { tryGateway(t, other) })
	t.Run("gateway over HTTP", func(t *testing.T) { tryHTTP(t, s, other) })
	t.Run("control", func(t *testing.T) { tryControl(t, other) })
	t.Run("lists", func(t *testing.T) { tryLists(t, other) })
	t.Run("operator", func(t *testing.T) { tryOperatorsDoors(t, other) })
	t.Run("keys", func(t *testing.T) { tryKeys(t, s) })
	t.Run("command line", func(t *testing.T) { tryCommandLine(t, s) })
	t.Run("limits", func(t *testing.T) { tryLimits(t, s, acme, other) })
	t.Run("disabled", func(t *testing.T) { tryDisabled(t, s, acme, other) })
	t.Run("audit", func(t *testing.T) { checkAudit(t, s) })
}

// tryGateway asks for another's function by its very name, and for one that nobody has.
func tryGateway(t *testing.T, other tenant) {
	for name, call := range map[string]func(model string) error{
		"ModelInfer": func(model string) error { return other.infer(t, model) },
		"ModelMetadata": func(model string) error {
			_, err := other.gateway.ModelMetadata(other.ctx(t), &inference.ModelMetadataRequest{Name: model})
			return err
		},
		"ModelMetadata of a version": func(model string) error {
			_, err := other.gateway.ModelMetadata(other.ctx(t), &inference.ModelMetadataRequest{Name: model, Version: "1"})
			return err
		},
		"ModelConfig": func(model string) error {
			_, err := other.gateway.ModelConfig(other.ctx(t), &inference.ModelConfigRequest{Name: model})
			return err
		},
		"ModelStatistics": func(model string) error {
			_, err := other.gateway.ModelStatistics(other.ctx(t), &inference.ModelStatisticsRequest{Name: model})
			return err
		},
		"ModelReady": func(model string) error {
			ready, err := other.gateway.ModelReady(other.ctx(t), &inference.ModelReadyRequest{Name: model})
			if err == nil && !ready.GetReady() {
				err = status.Error(codes.NotFound, "not ready")
			}
			return err
		},
	} {
		expectAlike(t, name, call, "hidden", "absent")
		for _, path := range []string{"acme/hidden", "../acme/hidden", "acme/hidden/1"} {
			if err := call(path); status.Code(err) != codes.NotFound {
				t.Errorf("%s of %s: %v", name, path, err)
			}
		}
	}
	all, err := other.gateway.ModelStatistics(other.ctx(t), &inference.ModelStatisticsRequest{})
	if err != nil || len(all.GetModelStats()) != 1 || all.GetModelStats()[0].GetInferenceStats().GetSuccess().GetCount() != 1 {
		t.Errorf("statistics are not those of other's simple alone: %v, %v", all, err)
	}
}

// tryHTTP asks for another's function over HTTP, and for one that nobody has.
func tryHTTP(t *testing.T, s *shared, other tenant) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: s.roots}}
	defer client.CloseIdleConnections()
	get := func(model string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.http+"/v2/models/"+model, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+other.key)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, strings.ReplaceAll(string(text), model, "X")
	}
	if code, text := get("simple"); code != http.StatusOK {
		t.Errorf("its own: %d %s", code, text)
	}
	nobodys, words := get("absent")
	for _, model := range []string{"hidden", "acme%2Fhidden", "..%2Facme%2Fhidden"} {
		if code, text := get(model); code != http.StatusNotFound || code != nobodys || model == "hidden" && text != words {
			t.Errorf("%s: %d %s; nobody's: %d %s", model, code, text, nobodys, words)
		}
	}
}

// expectAlike demands NOT_FOUND with the same words for what is another's and for what does not exist.
func expectAlike(t *testing.T, what string, call func(name string) error, anothers, absent string) {
	t.Helper()
	there, nowhere := call(anothers), call(absent)
	if status.Code(there) != codes.NotFound || strings.ReplaceAll(there.Error(), anothers, "X") != strings.ReplaceAll(nowhere.Error(), absent, "X") {
		t.Errorf("%s: another's: %v; nobody's: %v", what, there, nowhere)
	}
}

// tryControl asks for another's things by their name, as oneself and in the other's name.
func tryControl(t *testing.T, other tenant) {
	logs := func(request *control.LogsRequest) error {
		stream, err := other.Logs(other.ctx(t), request)
		if err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	for name, call := range map[string]func(tenant, function string) error{
		"Logs": func(tenant, function string) error {
			return logs(&control.LogsRequest{Tenant: tenant, Function: function})
		},
		"GetFunction": func(tenant, function string) error {
			_, err := other.GetFunction(other.ctx(t), &control.GetFunctionRequest{Tenant: tenant, Name: function})
			return err
		},
		"RemoveFunction": func(tenant, function string) error {
			_, err := other.RemoveFunction(other.ctx(t), &control.RemoveFunctionRequest{Tenant: tenant, Name: function})
			return err
		},
	} {
		expectAlike(t, name, func(function string) error { return call("", function) }, "hidden", "absent")
		expectAlike(t, name+" in another's name", func(tenant string) error { return call(tenant, "hidden") }, "acme", "nobody")
		for _, path := range []string{"../acme/hidden", "*", "hidden/../../acme/hidden"} {
			if err := call("", path); status.Code(err) != codes.NotFound {
				t.Errorf("%s of %s: %v", name, path, err)
			}
		}
	}
	for name, call := range map[string]func(tenant string) error{
		"ListFunctions": func(tenant string) error {
			_, err := other.ListFunctions(other.ctx(t), &control.ListFunctionsRequest{Tenant: tenant})
			return err
		},
		"ListInstances": func(tenant string) error {
			_, err := other.ListInstances(other.ctx(t), &control.ListInstancesRequest{Tenant: tenant})
			return err
		},
		"ListTenants": func(tenant string) error {
			_, err := other.ListTenants(other.ctx(t), &control.ListTenantsRequest{Tenant: tenant})
			return err
		},
		"ListKeys": func(tenant string) error {
			_, err := other.ListKeys(other.ctx(t), &control.ListKeysRequest{Tenant: tenant})
			return err
		},
		"RotateKeys": func(tenant string) error {
			_, err := other.RotateKeys(other.ctx(t), &control.RotateKeysRequest{Tenant: tenant})
			return err
		},
		"Metrics": func(tenant string) error {
			_, err := other.Metrics(other.ctx(t), &control.MetricsRequest{Tenant: tenant})
			return err
		},
		"Leases": func(tenant string) error {
			_, err := other.broker.Leases(other.ctx(t), &broker.LeasesRequest{Tenant: tenant})
			return err
		},
	} {
		expectAlike(t, name, call, "acme", "nobody")
	}
}

// tryLists looks for the other's name in all that is listed.
func tryLists(t *testing.T, other tenant) {
	functions, err1 := other.ListFunctions(other.ctx(t), &control.ListFunctionsRequest{})
	instances, err2 := other.ListInstances(other.ctx(t), &control.ListInstancesRequest{})
	tenants, err3 := other.ListTenants(other.ctx(t), &control.ListTenantsRequest{})
	metrics, err4 := other.Metrics(other.ctx(t), &control.MetricsRequest{})
	leases, err5 := other.broker.Leases(other.ctx(t), &broker.LeasesRequest{})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	if len(functions.GetFunctions()) != 1 || len(instances.GetInstances()) != 1 || len(tenants.GetTenants()) != 1 || len(leases.GetLeases()) != 1 {
		t.Errorf("not one of each: %v, %v, %v, %v", functions, instances, tenants, leases)
	}
	if leases.GetLeases()[0].GetToken() != "" {
		t.Error("a lease's token is told")
	}
	text := string(metrics.GetText())
	if !strings.Contains(text, `tenant="other"`) {
		t.Errorf("the tenant's own metrics are not there:\n%s", text)
	}
	for what, said := range map[string]string{
		"functions": functions.String(), "instances": instances.String(), "tenants": tenants.String(), "leases": leases.String(), "metrics": text,
	} {
		if strings.Contains(said, "acme") || strings.Contains(said, "hidden") {
			t.Errorf("%s tell of another tenant: %s", what, said)
		}
	}
}

// tryOperatorsDoors calls what tells of everybody or changes what all share.
func tryOperatorsDoors(t *testing.T, other tenant) {
	_, devices := other.broker.Devices(other.ctx(t), &broker.DevicesRequest{})
	_, grant := other.broker.Grant(other.ctx(t), &broker.GrantRequest{Tenant: "acme", Holder: "run:1"})
	_, release := other.broker.Release(other.ctx(t), &broker.ReleaseRequest{LeaseId: "x"})
	_, create := other.CreateTenant(other.ctx(t), &control.CreateTenantRequest{Tenant: "mine"})
	_, update := other.UpdateTenant(other.ctx(t), &control.UpdateTenantRequest{Tenant: "other", Limits: &control.TenantLimits{}})
	events, watch := other.broker.Watch(other.ctx(t), &broker.WatchRequest{})
	if watch == nil {
		_, watch = events.Recv()
	}
	upload, image := other.ImportImage(other.ctx(t))
	if image == nil {
		_ = upload.Send(&control.ImportImageRequest{Name: "simple:latest"})
		_, image = upload.CloseAndRecv()
	}
	for name, err := range map[string]error{
		"Devices": devices, "Grant": grant, "Release": release, "CreateTenant": create, "UpdateTenant": update, "Watch": watch, "ImportImage": image,
	} {
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// tryKeys: whoever has no key that counts hears the same at every door.
func tryKeys(t *testing.T, s *shared) {
	keyID := strings.Fields(strings.Split(output(t, s.command(t, "tenants", "keys", "acme")), "\n")[1])[0]
	for _, key := range []string{"", "x", keyID, s.keys["acme"] + "x", s.keys["acme"][:len(s.keys["acme"])-1]} {
		c := s.tenant(t, key)
		_, list := c.ListFunctions(c.ctx(t), &control.ListFunctionsRequest{})
		_, statistics := c.gateway.ModelStatistics(c.ctx(t), &inference.ModelStatisticsRequest{})
		for door, err := range map[string]error{"control": list, "gateway": statistics} {
			if status.Code(err) != codes.Unauthenticated {
				t.Errorf("%s with key %q: %v", door, key, err)
			}
		}
	}
	// A rotated key ends at once.
	fresh := strings.TrimSpace(output(t, s.command(t, "tenants", "rotate", "acme")))
	old := s.tenant(t, s.keys["acme"])
	if err := old.infer(t, "simple"); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a key that was replaced: %v", err)
	}
	s.keys["acme"] = fresh
	renewed := s.tenant(t, fresh)
	if err := renewed.infer(t, "simple"); err != nil {
		t.Errorf("the new key: %v", err)
	}
	// The store has none of them.
	kept, err := os.ReadFile(filepath.Join(s.state(), "store.bolt"))
	if err != nil || bytes.Contains(kept, []byte(fresh)) || bytes.Contains(kept, []byte(s.keys["other"])) {
		t.Errorf("the store holds a key, or cannot be read: %v", err)
	}
}

// tryCommandLine is what a tenant does from elsewhere.
func tryCommandLine(t *testing.T, s *shared) {
	command := func(arguments ...string) (string, error) {
		c := s.command(t, append(arguments, "--server", s.control, "--key", s.keys["other"], "--ca", s.ca)...)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := command("functions"); err != nil || !strings.Contains(out, "simple") || strings.Contains(out, "hidden") {
		t.Errorf("functions: %v: %s", err, out)
	}
	if out, err := command("leases"); err != nil || !strings.Contains(out, "other") || strings.Contains(out, "acme") {
		t.Errorf("leases: %v: %s", err, out)
	}
	if out, err := command("devices"); err == nil || !strings.Contains(out, "operator") {
		t.Errorf("devices: %v: %s", err, out)
	}
	if out, err := command("invoke", "simple", "--address", s.address, simpleRequest); err != nil {
		t.Errorf("invoke: %v: %s", err, out)
	}
}

// tryLimits: what one tenant does beyond its limits is refused and named, and nobody else is concerned.
func tryLimits(t *testing.T, s *shared, _, other tenant) {
	acme := s.tenant(t, s.keys["acme"])
	expectLimit := func(what string, err error, name string) {
		t.Helper()
		if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names %s", what, err, name)
		}
	}
	output(t, s.command(t, "tenants", "limit", "acme", "--request-size", "100"))
	expectLimit("a request of 200 bytes", acme.infer(t, "simple"), "request_bytes is 100")
	output(t, s.command(t, "tenants", "limit", "acme", "--request-size", "0", "--requests-per-second", "0.001"))
	if err := acme.infer(t, "simple"); err != nil {
		t.Errorf("the first request: %v", err)
	}
	expectLimit("the second request", acme.infer(t, "simple"), "requests_per_second is 0.001")
	for range 5 {
		if err := other.infer(t, "simple"); err != nil {
			t.Errorf("another tenant meanwhile: %v", err)
		}
	}
	output(t, s.command(t, "tenants", "limit", "acme", "--requests-per-second", "0", "--slice-memory", "128Mi"))
	out, err := s.command(t, "--tenant", "acme", "run", "--memory", "64Mi", "--", "true").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "tenant acme: memory of slices") {
		t.Errorf("a third slice: %v: %s", err, out)
	}
	output(t, s.command(t, "--tenant", "other", "run", "--memory", "64Mi", "--", "true"))

	// With both instances at work there is no third; an idle one makes way.
	output(t, s.command(t, "tenants", "limit", "acme", "--slice-memory", "0", "--instances", "2"))
	acme.deploy(t, "third")
	if err := acme.infer(t, "third"); err != nil {
		t.Errorf("a third function when the others idle: %v", err)
	}
	listed, err := acme.ListInstances(acme.ctx(t), &control.ListInstancesRequest{})
	if err != nil || len(listed.GetInstances()) > 2 {
		t.Errorf("more than two instances: %v, %v", listed, err)
	}
}

// tryDisabled: of a disabled tenant nothing runs and nobody gets in; the other does not notice.
func tryDisabled(t *testing.T, s *shared, _, other tenant) {
	acme := s.tenant(t, s.keys["acme"])
	output(t, s.command(t, "tenants", "disable", "acme"))
	if err := acme.infer(t, "simple"); status.Code(err) != codes.Unauthenticated {
		t.Errorf("gateway: %v", err)
	}
	if _, err := acme.ListFunctions(acme.ctx(t), &control.ListFunctionsRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("control: %v", err)
	}
	awaitNone := func() bool { return !strings.Contains(output(t, s.command(t, "leases")), "acme") }
	for !awaitNone() { // bounded by the test's own time
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := s.command(t, "--tenant", "acme", "run", "--memory", "64Mi", "--", "true").CombinedOutput(); err == nil {
		t.Errorf("a lease for a disabled tenant: %s", out)
	}
	if err := other.infer(t, "simple"); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	output(t, s.command(t, "tenants", "enable", "acme"))
	if err := acme.infer(t, "simple"); err != nil {
		t.Errorf("enabled again: %v", err)
	}
}

// checkAudit finds what the tests above have done in the record, and no key.
func checkAudit(t *testing.T, s *shared) {
	file, err := os.Open(filepath.Join(s.state(), "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen := make(map[string]bool)
	for lines := json.NewDecoder(file); ; {
		var line struct{ Who, What, Outcome string }
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		who, _, _ := strings.Cut(line.Who, ",")
		seen[who+" "+line.What+" "+line.Outcome] = true
	}
	for _, want := range []string{
		"uid 0 CreateTenant OK", "uid 0 CreateKey OK", "uid 0 UpdateTenant OK", "uid 0 RotateKeys OK", "tenant acme Deploy OK",
		"tenant other RemoveFunction NotFound", "tenant other RotateKeys NotFound", "tenant other CreateTenant PermissionDenied",
	} {
		if !seen[want] {
			t.Errorf("the record has no %q: %v", want, seen)
		}
	}
	text, err := os.ReadFile(file.Name())
	if err != nil || bytes.Contains(text, []byte("sluice_")) {
		t.Errorf("the record holds a key, or cannot be read: %v", err)
	}
}
