package access

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"sluice/proto/gen/broker"
	"sluice/proto/gen/control"
	"sluice/store"
	"sluice/store/bolt"
	"sluice/store/directory"
)

// api answers with the tenant that it was asked for.
type api struct {
	control.UnimplementedControlServer
	broker.UnimplementedBrokerServer
}

func (api) Deploy(_ context.Context, r *control.DeployRequest) (*control.DeployResponse, error) {
	return &control.DeployResponse{Function: &control.Function{Tenant: r.GetTenant()}}, nil
}

func (api) Logs(r *control.LogsRequest, stream grpc.ServerStreamingServer[control.LogsResponse]) error {
	return stream.Send(&control.LogsResponse{Instance: r.GetTenant()})
}

func (api) RevokeKey(context.Context, *control.RevokeKeyRequest) (*control.RevokeKeyResponse, error) {
	return nil, status.Error(codes.NotFound, "no such key")
}

func (api) Leases(_ context.Context, r *broker.LeasesRequest) (*broker.LeasesResponse, error) {
	return &broker.LeasesResponse{Leases: []*broker.Lease{{Tenant: r.GetTenant()}}}, nil
}

var quiet = slog.New(slog.DiscardHandler)

// serve serves the api behind a door and gives a connection to it.
func serve(t *testing.T, network string, options []grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	control.RegisterControlServer(server, api{})
	broker.RegisterBrokerServer(server, api{})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	target := listener.Addr().String()
	if network == "unix" {
		target = "unix://" + target
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return conn
}

// tenants is a tenants' door with a key each for acme and other.
func tenants(t *testing.T, audit *Audit) (conn *grpc.ClientConn, keys map[string]string) {
	t.Helper()
	registry, err := bolt.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Close() })
	keys = make(map[string]string)
	for _, name := range []string{"acme", "other"} {
		secret, key, err := store.NewAPIKey(name, "", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = secret
		if _, err := store.Save(t.Context(), registry, store.Tenant{Name: name}, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Save(t.Context(), registry, key, 0); err != nil {
			t.Fatal(err)
		}
	}
	known, err := directory.Open(t.Context(), registry, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, "tcp", Tenants(known, insecure.NewCredentials(), audit, quiet)), keys
}

func as(t *testing.T, key string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+key)
}

// readAudit gives the lines of the record.
func readAudit(t *testing.T, path string) (lines []entry) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		lines = append(lines, e)
	}
	return lines
}

// What a tenant asks for is its own, whether it says so or not; another's name is as unknown as nobody's.
func TestTenantsReachTheirOwn(t *testing.T) {
	conn, keys := tenants(t, NewAudit(filepath.Join(t.TempDir(), "audit")))
	client := control.NewControlClient(conn)
	for _, named := range []string{"", "acme"} {
		deployed, err := client.Deploy(as(t, keys["acme"]), &control.DeployRequest{Tenant: named})
		if err != nil || deployed.GetFunction().GetTenant() != "acme" {
			t.Errorf("named %q: %v, %v", named, deployed, err)
		}
	}
	leases, err := broker.NewBrokerClient(conn).Leases(as(t, keys["acme"]), &broker.LeasesRequest{})
	if err != nil || leases.GetLeases()[0].GetTenant() != "acme" {
		t.Errorf("leases: %v, %v", leases, err)
	}
	logs, err := client.Logs(as(t, keys["acme"]), &control.LogsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := logs.Recv(); err != nil || first.GetInstance() != "acme" {
		t.Errorf("logs: %v, %v", first, err)
	}
	var answers []string
	for _, named := range []string{"other", "nobod"} {
		_, err := client.Deploy(as(t, keys["acme"]), &control.DeployRequest{Tenant: named})
		logs, streamErr := client.Logs(as(t, keys["acme"]), &control.LogsRequest{Tenant: named})
		if streamErr == nil {
			_, streamErr = logs.Recv()
		}
		if status.Code(err) != codes.NotFound || status.Code(streamErr) != codes.NotFound {
			t.Errorf("named %s: %v, %v", named, err, streamErr)
		}
		answers = append(answers, strings.ReplaceAll(err.Error()+streamErr.Error(), named, "X"))
	}
	if answers[0] != answers[1] {
		t.Errorf("a tenant can tell another from nobody: %q", answers)
	}
}

func TestNoKeyNoEntry(t *testing.T) {
	conn, keys := tenants(t, NewAudit(filepath.Join(t.TempDir(), "audit")))
	client := control.NewControlClient(conn)
	contexts := []context.Context{
		t.Context(), as(t, ""), as(t, "sluice_x"), as(t, strings.Repeat("x", 4096)),
		metadata.AppendToOutgoingContext(as(t, keys["acme"]), "authorization", "Bearer "+keys["acme"]),
		metadata.AppendToOutgoingContext(t.Context(), "authorization", keys["acme"]),
	}
	for i, ctx := range contexts {
		if _, err := client.Deploy(ctx, &control.DeployRequest{}); err == nil || err.Error() != errNoKey.Error() {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// Every method of the API but those for tenants is closed to them; those for tenants can be scoped.
func TestEveryMethodHasItsRule(t *testing.T) {
	conn, keys := tenants(t, NewAudit(filepath.Join(t.TempDir(), "audit")))
	listed := 0
	for _, name := range []protoreflect.FullName{"sluice.control.v1.Control", "sluice.broker.v1.Broker"} {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
		if err != nil {
			t.Fatal(err)
		}
		methods := found.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			method := methods.Get(i)
			full := "/" + string(name) + "/" + string(method.Name())
			if _, ok := rules[full]; ok {
				listed++
			}
			if ruleOf(full).tenants {
				if field := method.Input().Fields().ByName(tenantField); field == nil || field.Kind() != protoreflect.StringKind {
					t.Errorf("%s is for tenants, but its request has no field %q", full, tenantField)
				}
				continue
			}
			var answer control.DeployResponse
			err := conn.Invoke(as(t, keys["acme"]), full, &control.ListTenantsRequest{}, &answer)
			if code := status.Code(err); code != codes.PermissionDenied && code != codes.ResourceExhausted {
				t.Errorf("%s: %v", full, err)
			}
		}
	}
	if listed != len(rules) {
		t.Errorf("%d of %d rules are about methods that exist", listed, len(rules))
	}
}

func TestOneTenantsCallsAreBounded(t *testing.T) {
	conn, keys := tenants(t, NewAudit(filepath.Join(t.TempDir(), "audit")))
	client := control.NewControlClient(conn)
	refused := 0
	for range 2 * callsBurst {
		if _, err := client.Deploy(as(t, keys["acme"]), &control.DeployRequest{Tenant: "other"}); status.Code(err) == codes.ResourceExhausted {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no call was refused")
	}
	if _, err := client.Deploy(as(t, keys["other"]), &control.DeployRequest{}); err != nil {
		t.Errorf("another tenant: %v", err)
	}
}

// The record says who changed what, and how it went, with nothing secret, and of tries that were refused.
func TestAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	audit := NewAudit(path)
	conn, keys := tenants(t, audit)
	acme := control.NewControlClient(conn)
	operator := control.NewControlClient(serve(t, "unix", Operator(audit, quiet)))

	if _, err := acme.Deploy(as(t, keys["acme"]), &control.DeployRequest{FunctionYaml: []byte("secret")}); err != nil {
		t.Error(err)
	}
	_, _ = acme.RevokeKey(as(t, keys["acme"]), &control.RevokeKeyRequest{Tenant: "other", KeyId: "k"})
	_, _ = operator.RevokeKey(t.Context(), &control.RevokeKeyRequest{Tenant: "other", KeyId: "k"})
	_, _ = operator.UpdateTenant(t.Context(), &control.UpdateTenantRequest{Tenant: "acme", Limits: &control.TenantLimits{Instances: 2}})
	stream, err := operator.Logs(t.Context(), &control.LogsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if err != io.EOF {
		t.Error(err)
	}

	lines := readAudit(t, path)
	want := []struct{ who, what, on, outcome string }{
		{"tenant acme, key ", "Deploy", `{"tenant":"acme"}`, "OK"},
		{"tenant acme, key ", "RevokeKey", `{}`, "PermissionDenied"},
		{"uid ", "RevokeKey", `{"key_id":"k","tenant":"other"}`, "NotFound"},
		{"uid ", "UpdateTenant", `{"limits":{"instances":2},"tenant":"acme"}`, "Unimplemented"},
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d: %+v", len(lines), len(want), lines)
	}
	for i, w := range want {
		on, err := json.Marshal(lines[i].On)
		if err != nil {
			t.Fatal(err)
		}
		line := lines[i]
		if !strings.HasPrefix(line.Who, w.who) || line.What != w.what || string(on) != w.on || line.Outcome != w.outcome || line.Time.IsZero() {
			t.Errorf("line %d is %+v on %s, want %+v", i, line, on, w)
		}
	}
}

// What cannot be recorded is not done.
func TestNoChangeWithoutRecord(t *testing.T) {
	folder := t.TempDir()
	operator := control.NewControlClient(serve(t, "unix", Operator(NewAudit(filepath.Join(folder, "gone", "audit")), quiet)))
	if _, err := operator.Deploy(t.Context(), &control.DeployRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("a change without a record: %v", err)
	}
	if _, err := operator.ListTenants(t.Context(), &control.ListTenantsRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("a harmless call: %v", err)
	}
}
