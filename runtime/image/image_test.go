package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"sluice/runtime/image"
)

// compile builds a C program or, with -shared among the flags, a library.
func compile(t *testing.T, path, source string, flags ...string) {
	t.Helper()
	command := exec.Command("gcc", append([]string{"-x", "c", "-", "-o", path}, flags...)...)
	command.Stdin = strings.NewReader(source)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}

const (
	simple = `int main(void) { return 0; }`
	opencl = `#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
int main(void) { cl_uint n; clGetPlatformIDs(0, 0, &n); return 0; }`
)

func write(t *testing.T, path, content string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(content), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func build(t *testing.T, dir string) ([]byte, error) {
	t.Helper()
	var archive bytes.Buffer
	err := image.Build(context.Background(), dir, "test/program:v1", &archive)
	return archive.Bytes(), err
}

// built is an image taken apart by way of its descriptors, each of which is checked.
type built struct {
	index  ocispec.Index
	config ocispec.Image
	layer  map[string]*tar.Header
	data   map[string][]byte // content of the layer's files
}

func parse(t *testing.T, archive []byte) built {
	t.Helper()
	files := make(map[string][]byte)
	each(t, archive, func(header *tar.Header, content []byte) { files[header.Name] = content })
	blob := func(d ocispec.Descriptor) []byte {
		content := files["blobs/sha256/"+d.Digest.Encoded()]
		if int64(len(content)) != d.Size || d.Digest.Algorithm().FromBytes(content) != d.Digest {
			t.Fatalf("blob %s has %d bytes and does not match", d.Digest, len(content))
		}
		return content
	}
	b := built{layer: make(map[string]*tar.Header), data: make(map[string][]byte)}
	var manifest ocispec.Manifest
	decode(t, files["index.json"], &b.index)
	decode(t, blob(b.index.Manifests[0]), &manifest)
	decode(t, blob(manifest.Config), &b.config)
	layer := blob(manifest.Layers[0])
	if b.config.RootFS.DiffIDs[0] != manifest.Layers[0].Digest {
		t.Error("the layer's digest is not the configuration's")
	}
	each(t, layer, func(header *tar.Header, content []byte) {
		b.layer[header.Name], b.data[header.Name] = header, content
	})
	return b
}

func decode(t *testing.T, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}

func each(t *testing.T, archive []byte, do func(*tar.Header, []byte)) {
	t.Helper()
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return
		}
		content, readErr := io.ReadAll(reader)
		if err != nil || readErr != nil {
			t.Fatal(err, readErr)
		}
		do(header, content)
	}
}

func TestImageHasWhatAProgramNeeds(t *testing.T) {
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "program"), opencl, "-lOpenCL")
	write(t, filepath.Join(dir, "weights", "layer1.bin"), "weights")
	write(t, filepath.Join(dir, ".git", "config"), "hidden")
	archive, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	b := parse(t, archive)
	if got := b.index.Manifests[0].Annotations["io.containerd.image.name"]; got != "test/program:v1" {
		t.Errorf("name is %q", got)
	}
	if c := b.config.Config; !slices.Equal(c.Entrypoint, []string{"/app/program"}) || c.User != "65534:65534" || c.WorkingDir != "/" {
		t.Errorf("configuration is %+v", c)
	}
	var libraries []string
	for name, header := range b.layer {
		if header.Uid != 0 || header.Gid != 0 || header.ModTime.Unix() != 0 || header.Mode&0o7000 != 0 && name != "tmp/" {
			t.Errorf("%s has owner %d:%d, time %s, mode %o", name, header.Uid, header.Gid, header.ModTime, header.Mode)
		}
		if strings.Contains(name, ".so") {
			libraries = append(libraries, filepath.Base(name))
		}
		if strings.Contains(name, ".git") {
			t.Errorf("%s is hidden in the folder", name)
		}
	}
	slices.Sort(libraries)
	if want := []string{"ld-linux-x86-64.so.2", "libOpenCL.so.1", "libc.so.6"}; !slices.Equal(libraries, want) {
		t.Errorf("libraries %v, want %v", libraries, want)
	}
	if string(b.data["app/weights/layer1.bin"]) != "weights" {
		t.Errorf("weights are %q", b.data["app/weights/layer1.bin"])
	}
	for _, name := range []string{"tmp/", "run/sluice/", "run/function/", "etc/OpenCL/vendors/", "etc/passwd", "etc/group", "etc/nsswitch.conf"} {
		if b.layer[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

// The image runs on its own: its loader finds everything in it. (chroot stands in for a container.)
func TestImageRuns(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "lib", "note"), "")
	compile(t, filepath.Join(dir, "lib", "libown.so"), `int own(void) { return 42; }`, "-shared", "-fPIC")
	compile(t, filepath.Join(dir, "program"), `int own(void); int main(void) { return own(); }`,
		"-L", filepath.Join(dir, "lib"), "-lown", "-Wl,-rpath,$ORIGIN/lib:/app/lib") // a chroot without /proc knows no origin
	archive, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	b := parse(t, archive)
	for name, header := range b.layer {
		if header.Typeflag == tar.TypeReg {
			write(t, filepath.Join(root, name), string(b.data[name]))
			if err := os.Chmod(filepath.Join(root, name), header.FileInfo().Mode()); err != nil {
				t.Fatal(err)
			}
		}
	}
	command := exec.Command(b.config.Config.Entrypoint[0])
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	command.Dir, command.Env = "/", []string{}
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 42 {
		t.Errorf("program ended with %v\n%s", err, output)
	}
}

func TestImageIsReproducible(t *testing.T) {
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "program"), simple)
	write(t, filepath.Join(dir, "data"), "data")
	first, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	// Neither the place nor the times of a folder matter, nor a mode but for its executable bit.
	other := t.TempDir()
	for _, name := range []string{"program", "data"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(other, name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(other, "program"), 0o700); err != nil {
		t.Fatal(err)
	}
	if second, err := build(t, other); err != nil || !bytes.Equal(first, second) {
		t.Errorf("the second archive differs, %v", err)
	}
}

func TestManifest(t *testing.T) {
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "one"), simple)
	compile(t, filepath.Join(dir, "two"), simple)
	for _, name := range []string{"keep/a", "keep/b", "w1.bin", "w2.bin", "w.txt", "drop"} {
		write(t, filepath.Join(dir, name), name)
	}
	if _, err := build(t, dir); !errors.Is(err, image.ErrInvalid) || !strings.Contains(err.Error(), "one, two") {
		t.Errorf("two programs: %v", err)
	}
	write(t, filepath.Join(dir, "image.yaml"), "entrypoint: [./two, --flag]\ninclude: [keep, 'w*.bin']\nlibraries: [libOpenCL.so.1]\nuser: 0:0\n")
	archive, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	b := parse(t, archive)
	if !slices.Equal(b.config.Config.Entrypoint, []string{"/app/two", "--flag"}) || b.config.Config.User != "0:0" {
		t.Errorf("entrypoint %v, user %s", b.config.Config.Entrypoint, b.config.Config.User)
	}
	var app []string
	opencl := false
	for name, header := range b.layer {
		if strings.HasPrefix(name, "app/") && header.Typeflag == tar.TypeReg {
			app = append(app, strings.TrimPrefix(name, "app/"))
		}
		opencl = opencl || strings.HasSuffix(name, "/libOpenCL.so.1")
	}
	slices.Sort(app)
	if want := []string{"keep/a", "keep/b", "two", "w1.bin", "w2.bin"}; !slices.Equal(app, want) {
		t.Errorf("files %v, want %v", app, want)
	}
	if !opencl {
		t.Error("the library that is opened at run time is missing")
	}
}

func TestBuildRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	write(t, outside, "secret")
	program := filepath.Join(t.TempDir(), "program")
	compile(t, program, simple)
	cases := map[string]struct {
		make  func(dir string)
		names string // what the error must name
	}{
		"empty folder":         {func(dir string) { _ = os.Remove(filepath.Join(dir, "program")) }, "no executable"},
		"link leaves":          {func(dir string) { _ = os.Symlink(outside, filepath.Join(dir, "link")) }, "link"},
		"relative link leaves": {func(dir string) { _ = os.Symlink("../../etc/passwd", filepath.Join(dir, "link")) }, "link"},
		"link to a folder":     {func(dir string) { _ = os.Symlink(".", filepath.Join(dir, "link")) }, "link"},
		"pipe":                 {func(dir string) { _ = syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600) }, "pipe"},
		"broken ELF":           {func(dir string) { write(t, filepath.Join(dir, "broken"), "\x7fELF\x02\x01\x01") }, "broken"},
		"unknown field":        {func(dir string) { write(t, filepath.Join(dir, "image.yaml"), "entry: x") }, "entry"},
		"manifest is huge":     {func(dir string) { write(t, filepath.Join(dir, "image.yaml"), strings.Repeat("#", 1<<17)) }, "bytes"},
		"manifest link leaves": {func(dir string) { _ = os.Symlink(outside, filepath.Join(dir, "image.yaml")) }, "image.yaml"},
		"entrypoint leaves":    {func(dir string) { write(t, filepath.Join(dir, "image.yaml"), "entrypoint: [../program]") }, "../program"},
		"user by name":         {func(dir string) { write(t, filepath.Join(dir, "image.yaml"), "user: root") }, "user \"root\""},
		"entrypoint absolute":  {func(dir string) { write(t, filepath.Join(dir, "image.yaml"), "entrypoint: [/bin/sh]") }, "/bin/sh"},
		"entrypoint missing":   {func(dir string) { write(t, filepath.Join(dir, "image.yaml"), "entrypoint: [none]") }, "none"},
		"entrypoint is text":   {func(dir string) { write(t, filepath.Join(dir, "image.yaml"), "entrypoint: [image.yaml]") }, "image.yaml"},
		"include leaves":       {func(dir string) { write(t, filepath.Join(dir, "image.yaml"), "include: [../*]") }, "../*"},
		"library is a path":    {func(dir string) { write(t, filepath.Join(dir, "image.yaml"), "libraries: [../x.so]") }, "../x.so"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			content, err := os.ReadFile(program)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "program"), content, 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
			c.make(dir)
			if _, err := build(t, dir); !errors.Is(err, image.ErrInvalid) || !strings.Contains(err.Error(), c.names) {
				t.Errorf("got %v, want ErrInvalid that names %q", err, c.names)
			}
		})
	}
}

func TestMissingLibraryIsNamed(t *testing.T) {
	dir := t.TempDir()
	library := filepath.Join(t.TempDir(), "libgone.so")
	compile(t, library, `int own(void) { return 42; }`, "-shared", "-fPIC")
	compile(t, filepath.Join(dir, "program"), `int own(void); int main(void) { return own(); }`, "-L", filepath.Dir(library), "-lgone")
	if _, err := build(t, dir); !errors.Is(err, image.ErrLibrary) || !strings.Contains(err.Error(), "libgone.so") {
		t.Errorf("got %v, want ErrLibrary that names it", err)
	}
}

func TestLinksInsideTheFolderAreFollowed(t *testing.T) {
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "program"), simple)
	write(t, filepath.Join(dir, "data"), "data")
	if err := os.Symlink("data", filepath.Join(dir, "alias")); err != nil {
		t.Fatal(err)
	}
	archive, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if b := parse(t, archive); string(b.data["app/alias"]) != "data" || b.layer["app/alias"].Typeflag != tar.TypeReg {
		t.Errorf("alias is %q", b.data["app/alias"])
	}
}

func TestBuildStopsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "program"), simple)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := image.Build(ctx, dir, "a", io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
}

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"digits": "digits:latest", "digits:v1": "digits:v1", "host:5000/a/digits": "host:5000/a/digits:latest",
		"a@sha256:" + strings.Repeat("0", 64): "a@sha256:" + strings.Repeat("0", 64),
	} {
		if got, err := image.Name(name); err != nil || got != want {
			t.Errorf("%s becomes %s, %v; want %s", name, got, err, want)
		}
	}
	for _, name := range []string{"", "Digits", "a b", "../x", "/a", "a:", "a\n", "a@sha256:0", strings.Repeat("a", 256)} {
		if got, err := image.Name(name); !errors.Is(err, image.ErrInvalid) {
			t.Errorf("%q becomes %q, %v; want ErrInvalid", name, got, err)
		}
	}
}
