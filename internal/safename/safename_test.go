package safename_test

import (
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"lightfast/internal/safename"
)

func TestNamesThatNoFileSystemRefuses(t *testing.T) {
	long := strings.Repeat("é", 200)
	for _, tt := range []struct{ in, want string }{
		{"IMG_0001.JPG", "IMG_0001.JPG"},
		{"Ümläut 📷.heic", "Ümläut 📷.heic"},
		{".hidden", ".hidden"},
		{"-rf", "-rf"},
		{"", "_"},
		{".", "_"},
		{"..", "_"},
		{"../../etc/passwd", ".._.._etc_passwd"},
		{"/etc/x", "_etc_x"},
		{`C:\x`, "C__x"},
		{"a\x00b\nc\td", "a_b_c_d"},
		{"not utf8 \xff.JPG", "not utf8 _.JPG"},
		{"what?.jpg", "what_.jpg"},
		{"ends in a space ", "ends in a space_"},
		{"ends in dots...", "ends in dots_"},
		{"CON", "_CON"},
		{"con.txt", "_con.txt"},
		{"Aux .jpg", "_Aux .jpg"},
		{"COM¹.dat", "_COM¹.dat"},
		{"console.txt", "console.txt"},
		{long + ".heic", strings.Repeat("é", 125) + ".heic"},
	} {
		if got := safename.Name(tt.in); got != tt.want {
			t.Errorf("Name(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestNumberKeepsTheExtension(t *testing.T) {
	for _, tt := range []struct {
		in   string
		n    int
		want string
	}{
		{"IMG_0001.JPG", 2, "IMG_0001 (2).JPG"},
		{"no extension", 3, "no extension (3)"},
		{".hidden", 2, ".hidden (2)"},
		{strings.Repeat("x", 255), 12, strings.Repeat("x", 250) + " (12)"},
		{strings.Repeat("x", 251) + ".JPG", 2, strings.Repeat("x", 247) + " (2).JPG"},
	} {
		if got := safename.Number(tt.in, tt.n); got != tt.want {
			t.Errorf("Number(%q, %d) = %q, want %q", tt.in, tt.n, got, tt.want)
		}
	}
}

func TestFoldFindsNamesThatAMacTakesAsOne(t *testing.T) {
	for _, same := range [][]string{
		{"IMG_1.MOV", "img_1.mov", "Img_1.Mov"},
		{"\u00e9t\u00e9.jpg", "e\u0301te\u0301.jpg", "\u00c9T\u00c9.JPG"},
		{"straße", "STRASSE"},
	} {
		for _, s := range same[1:] {
			if a, b := safename.Fold(same[0]), safename.Fold(s); a != b {
				t.Errorf("Fold(%q) = %q, Fold(%q) = %q, want the same", same[0], a, s, b)
			}
		}
	}
	if a, b := safename.Fold("IMG_1.MOV"), safename.Fold("IMG_2.MOV"); a == b {
		t.Errorf("two names fold to %q", a)
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"IMG_0001.JPG", "..", "a/b", "nul.tar.gz", "\xff", strings.Repeat("📷", 99) + ".x", "x." + strings.Repeat("y", 300), ". . ."} {
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		for _, got := range []string{safename.Name(s), safename.Number(safename.Name(s), max(n, 2))} {
			switch {
			case got == "" || got == "." || got == "..":
				t.Errorf("%q became %q", s, got)
			case len(got) > 255:
				t.Errorf("%q became %d bytes", s, len(got))
			case !utf8.ValidString(got):
				t.Errorf("%q became %q, which is no UTF-8", s, got)
			case strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(`/\:`, r) }):
				t.Errorf("%q became %q", s, got)
			case strings.HasSuffix(got, ".") || strings.HasSuffix(got, " "):
				t.Errorf("%q became %q, whose end Windows drops", s, got)
			}
		}
		name := safename.Name(s)
		if again := safename.Name(name); again != name {
			t.Errorf("Name(%q) = %q, and of that %q", s, name, again)
		}
		if ext := path.Ext(name); ext != name && len(ext) <= 32 && path.Ext(safename.Number(name, 2)) != ext {
			t.Errorf("Number(%q, 2) = %q lost the extension", name, safename.Number(name, 2))
		}
	})
}
