// A Photos framework for GNUstep, as far as photokit-helper uses Apple's: the same classes, selectors and types,
// asynchronous, calling back on threads of its own. It serves the files of a folder, or assets that it makes up, and
// fails as it is told. It is a model of what is known of Apple's, no more: see docs/photokit.md.
//
//   MOCK_CLOUD     a folder "X.cloud": with an index.json (list of uuid, role, file, original_filename), or laid out
//                  like the library whose evicted originals it holds
//   MOCK_SHOWS     "all" (default: any UUID is an asset, perhaps without resources), "cloud", or "none"
//   MOCK_ASSETS    so many made-up assets, with MOCK_SEED; each 50th is a film of MOCK_FILM_MB (default 48)
//   MOCK_AUTH      authorization status (default 3), MOCK_AUTH_ANSWER what a person answers when asked
//   MOCK_FAULTS    list of name=when. When: "7" each seventh request of the process, "30%" a share of all, drawn from
//                  MOCK_SEED, the resource and the attempt, "first" (the first attempts of a resource), "always".
//                  Names: see faultNames and errors below.
//   MOCK_STATE     a folder that remembers the attempts of each resource across processes
//   MOCK_LEAK_MB   what a "leak" loses (default 9); MOCK_SLOW_MS pauses for each 256 KiB
#import <Foundation/Foundation.h>
#include <Block.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { kPhoto = 1, kVideo = 2, kAudio = 3, kAlternate = 4, kFullPhoto = 5, kFullVideo = 6, kAdjustment = 7,
       kPairedVideo = 9, kFullPairedVideo = 10, kProxy = 19 };
static const size_t chunk = 256 << 10;

static const char *setting(const char *name, const char *otherwise) {
  const char *v = getenv(name);
  return v && *v ? v : otherwise;
}
static long number(const char *name, long otherwise) { return *setting(name, "") ? atol(getenv(name)) : otherwise; }

static uint64_t mix(uint64_t x) {
  x ^= x >> 33; x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33; x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ x >> 33;
}
static uint64_t hash(NSString *s, uint64_t h) {
  for (const char *p = [s UTF8String]; *p; p++) h = mix(h ^ (unsigned char)*p);
  return h;
}

// ---- What there is

@interface MockItem : NSObject { @public NSString *uuid, *name, *file; int type; long long size; uint64_t key; }
@end
@implementation MockItem
// read gives bytes from off on, of the file or made up: word i of resource k is mix(k + i).
- (void)read:(unsigned char *)p length:(size_t)n from:(long long)off {
  if (file) {
    int fd = open([file fileSystemRepresentation], O_RDONLY);
    if (fd < 0 || pread(fd, p, n, off) != (ssize_t)n) abort();
    close(fd);
    return;
  }
  for (size_t i = 0; i < n; i += 8) { // off is a multiple of 8
    uint64_t word = mix(key + (off + i) / 8);
    memcpy(p + i, &word, n - i < 8 ? n - i : 8);
  }
}
@end

static NSMutableDictionary *world; // upper-case UUID -> items

static MockItem *item(NSString *uuid, int type, NSString *name) {
  MockItem *it = [[MockItem new] autorelease];
  it->uuid = [[uuid uppercaseString] copy]; it->type = type; it->name = [name copy];
  NSMutableArray *list = [world objectForKey:it->uuid];
  if (!list) [world setObject:list = [NSMutableArray array] forKey:it->uuid];
  [list addObject:it];
  return it;
}
static BOOL isFilm(NSString *path) {
  return [[NSArray arrayWithObjects:@"mov", @"mp4", @"m4v", @"avi", nil] containsObject:[[path pathExtension] lowercaseString]];
}
static void stored(NSString *uuid, int type, NSString *name, NSString *file) {
  struct stat st;
  if (type == 0 || stat([file fileSystemRepresentation], &st) != 0) return;
  NSString *ext = [file pathExtension];
  MockItem *it = item(uuid, type, [[name stringByDeletingPathExtension] stringByAppendingPathExtension:ext]);
  it->file = [file copy]; it->size = st.st_size;
}
static int typeOfRole(NSString *role, NSString *file) {
  BOOL film = isFilm(file);
  if ([role isEqual:@"original"]) return film ? kVideo : kPhoto;
  if ([role isEqual:@"raw"]) return kAlternate;
  if ([role isEqual:@"live"]) return kPairedVideo;
  if ([role isEqual:@"edited"]) return film ? kFullVideo : kFullPhoto;
  if ([role isEqual:@"edited_live"]) return kFullPairedVideo;
  if ([role isEqual:@"adjustment"]) return kAdjustment;
  return 0;
}
static void loadCloud(NSString *dir) {
  NSData *json = [NSData dataWithContentsOfFile:[dir stringByAppendingPathComponent:@"index.json"]];
  for (NSDictionary *e in json ? [NSJSONSerialization JSONObjectWithData:json options:0 error:NULL] : nil) {
    NSString *file = [dir stringByAppendingPathComponent:[e objectForKey:@"file"]];
    stored([e objectForKey:@"uuid"], typeOfRole([e objectForKey:@"role"], file), [e objectForKey:@"original_filename"], file);
  }
  // without an index: originals/A/A….jpeg, A…_3.mov (the film of a Live Photo), A…_4.cr2 (the RAW of a pair)
  for (NSString *rel in json ? nil : [[NSFileManager defaultManager] subpathsAtPath:dir]) {
    NSString *stem = [[rel lastPathComponent] stringByDeletingPathExtension];
    if ([stem length] < 36) continue;
    NSString *rest = [stem substringFromIndex:36];
    int type = [rest isEqual:@""] ? typeOfRole(@"original", rel) : [rest isEqual:@"_3"] ? kPairedVideo : [rest isEqual:@"_4"] ? kAlternate
      : [rest isEqual:@"_1_201_a"] ? kFullPhoto : [rest isEqual:@"_2_0_a"] ? kFullVideo : [rest isEqual:@"_2_100_a"] ? kFullPairedVideo : 0;
    stored([stem substringToIndex:36], type, [rel lastPathComponent], [dir stringByAppendingPathComponent:rel]);
  }
}
static void makeUp(int k) {
  NSString *uuid = [NSString stringWithFormat:@"%08X-0000-4000-8000-%012X", k, k];
  BOOL film = k % 50 == 49;
  int types[5] = { film ? kVideo : kPhoto }, n = 1;
  if (!film && k % 7 == 3) types[n++] = kPairedVideo;
  if (!film && k % 10 == 6) types[n++] = kAlternate;
  if (k % 13 == 5) { types[n++] = kAdjustment; types[n++] = film ? kFullVideo : kFullPhoto; }
  for (int i = 0; i < n; i++) {
    int t = types[i];
    const char *ext = t == kPairedVideo || t == kVideo || t == kFullVideo ? "MOV" : t == kAlternate ? "DNG" : t == kAdjustment ? "plist" : "HEIC";
    MockItem *it = item(uuid, t, [NSString stringWithFormat:@"IMG_%04d.%s", k, ext]);
    it->key = mix(mix(number("MOCK_SEED", 1)) + 100 * (uint64_t)k + t);
    it->size = t == kVideo ? number("MOCK_FILM_MB", 48) << 20 : t == kAdjustment ? 1000 + k : 40000 + (long long)(it->key % 400) * 1000;
  }
}
static void checkFaults(void);
static NSArray *itemsOf(NSString *uuid) {
  @synchronized([NSProcessInfo class]) {
    if (!world) {
      checkFaults();
      world = [NSMutableDictionary new];
      if (getenv("MOCK_CLOUD")) loadCloud([NSString stringWithUTF8String:getenv("MOCK_CLOUD")]);
      for (long k = 0; k < number("MOCK_ASSETS", 0); k++) makeUp((int)k);
    }
  }
  NSArray *found = [world objectForKey:[uuid uppercaseString]];
  const char *shows = setting("MOCK_SHOWS", "all");
  if (!strcmp(shows, "none") || [uuid length] != 36) return nil;
  return found || strcmp(shows, "all") ? found : [NSArray array];
}

// ---- What goes wrong

static const char *faultNames[] = {
  "leak",     // loses MOCK_LEAK_MB
  "crash",    // ends the process, half way
  "throw",    // an exception that nobody catches
  "hang",     // never calls back, half way
  "short",    // two thirds of the file, and no error
  "proxy",    // another, smaller picture, and no error
  "twice",    // calls back twice, and pushes after it is done
  "flood",    // pushes nothing before everything is in memory
  "stubborn", // ignores a cancel
  "freeze",   // listing an asset's resources never returns
  "edited",   // the asset's resources change after they were listed
};
static struct { const char *name, *domain; long code; const char *beneath; long beneathCode; } errors[] = {
  { "cloud", "CloudPhotoLibraryErrorDomain", 1006 },
  { "network", "PHPhotosErrorDomain", 3169, "NSURLErrorDomain", -1009 },
  { "signedout", "PHPhotosErrorDomain", 3169, "CKErrorDomain", 9 },
  { "disk", "CloudPhotoLibraryErrorDomain", 1005 },
  { "gone", "PHPhotosErrorDomain", 3303 },
  { "denied", "PHPhotosErrorDomain", 3311 },
  { "moved", "PHPhotosErrorDomain", 3143 },
  { "xpc", "PHPhotosErrorDomain", -1, "NSCocoaErrorDomain", 4097 },
  { "internal", "PHPhotosErrorDomain", -1 },
  { "stale", "com.apple.photos.error", 41011 },
};

// attemptOf counts the requests of a resource, in MOCK_STATE or else in this process.
static long attemptOf(MockItem *it) {
  static NSCountedSet *counted;
  NSString *key = [NSString stringWithFormat:@"%@-%d", it->uuid, it->type];
  @synchronized([NSThread class]) {
    const char *dir = setting("MOCK_STATE", NULL);
    if (!dir) {
      if (!counted) counted = [NSCountedSet new];
      [counted addObject:key];
      return [counted countForObject:key];
    }
    int fd = open([[NSString stringWithFormat:@"%s/%@", dir, key] fileSystemRepresentation], O_RDWR | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, ".", 1) != 1) abort();
    long n = lseek(fd, 0, SEEK_END);
    close(fd);
    return n;
  }
}
// checkFaults ends the process where a fault is misspelt: a test would prove nothing.
static void checkFaults(void) {
  for (NSString *f in [[NSString stringWithUTF8String:setting("MOCK_FAULTS", "")] componentsSeparatedByString:@","]) {
    NSString *name = [[f componentsSeparatedByString:@"="] objectAtIndex:0];
    BOOL known = [name isEqual:@""];
    for (size_t i = 0; i < sizeof faultNames / sizeof *faultNames; i++) known |= !strcmp([name UTF8String], faultNames[i]);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) known |= !strcmp([name UTF8String], errors[i].name);
    if (known) continue;
    fprintf(stderr, "mock: no fault is called %s\n", [name UTF8String]);
    abort();
  }
}

// Luck is what one request has drawn.
@interface MockLuck : NSObject { @public long seq, attempt, roll; } @end
@implementation MockLuck
- (BOOL)strikes:(const char *)name {
  NSArray *list = [[NSString stringWithUTF8String:setting("MOCK_FAULTS", "")] componentsSeparatedByString:@","];
  long share = 0; // of the faults before, so that a request meets one of them at most
  for (NSString *f in list) {
    NSArray *pair = [f componentsSeparatedByString:@"="];
    if ([pair count] != 2) continue;
    const char *n = [[pair objectAtIndex:0] UTF8String], *when = [[pair objectAtIndex:1] UTF8String];
    long value = atol(when);
    BOOL same = !strcmp(n, name);
    if (strchr(when, '%')) {
      if (same) return roll >= share && roll < share + value;
      share += value;
    } else if (same) {
      return !strcmp(when, "always") || (!strcmp(when, "first") && attempt == 1) || (value > 0 && seq % value == 0);
    }
  }
  return NO;
}
@end

// ---- The framework

@interface PHPhotoLibrary : NSObject @end
@implementation PHPhotoLibrary
static NSInteger answered = -1;
+ (NSInteger)authorizationStatusForAccessLevel:(NSInteger)level { return answered >= 0 ? answered : number("MOCK_AUTH", 3); }
+ (void)requestAuthorizationForAccessLevel:(NSInteger)level handler:(void (^)(NSInteger))handler {
  answered = number("MOCK_AUTH_ANSWER", number("MOCK_AUTH", 3));
  handler(answered);
}
@end

@interface PHFetchOptions : NSObject @end
@implementation PHFetchOptions
- (void)setIncludeHiddenAssets:(BOOL)v {}
- (void)setIncludeAllBurstAssets:(BOOL)v {}
- (void)setIncludeAssetSourceTypes:(NSUInteger)v {}
@end

@interface PHAsset : NSObject { @public NSString *uuid; } @end
@interface PHFetchResult : NSObject { @public NSMutableArray *found; } @end
@implementation PHFetchResult
- (NSUInteger)count { return [found count]; }
- (id)objectAtIndex:(NSUInteger)i { return [found objectAtIndex:i]; }
- (void)dealloc { [found release]; [super dealloc]; }
@end
@implementation PHAsset
- (NSString *)localIdentifier { return [uuid stringByAppendingString:@"/L0/001"]; }
- (void)dealloc { [uuid release]; [super dealloc]; }
// The identifier with its suffix is the asset's, the bare UUID is not.
+ (PHFetchResult *)fetchAssetsWithLocalIdentifiers:(NSArray *)ids options:(PHFetchOptions *)o {
  PHFetchResult *r = [[PHFetchResult new] autorelease];
  r->found = [NSMutableArray new];
  for (NSString *i in ids) {
    if (![i hasSuffix:@"/L0/001"]) continue;
    NSString *u = [i substringToIndex:[i length] - 7];
    if (!itemsOf(u)) continue;
    PHAsset *a = [[PHAsset new] autorelease];
    a->uuid = [u copy];
    [r->found addObject:a];
  }
  return r;
}
@end

@interface PHAssetResource : NSObject { @public MockItem *it; } @end
@implementation PHAssetResource
+ (NSArray *)assetResourcesForAsset:(PHAsset *)a {
  static long seq;
  MockLuck *luck = [[MockLuck new] autorelease];
  luck->seq = __sync_add_and_fetch(&seq, 1);
  luck->attempt = luck->seq;
  luck->roll = 100; // listing has no share
  while ([luck strikes:"freeze"]) sleep(1);
  NSMutableArray *list = [NSMutableArray array];
  for (MockItem *it in itemsOf(a->uuid)) {
    PHAssetResource *r = [[self new] autorelease];
    r->it = [it retain];
    // a derivative stands before what it is derived from, and is smaller
    if (it->type == kPhoto) {
      PHAssetResource *p = [[self new] autorelease];
      p->it = [MockItem new]; p->it->uuid = it->uuid; p->it->name = it->name; p->it->type = kProxy; p->it->key = 7; p->it->size = it->size / 5 + 1;
      [list addObject:p];
    }
    [list addObject:r];
  }
  if ([luck strikes:"edited"] && [list count]) [list removeObjectAtIndex:0];
  return list;
}
- (void)dealloc { [it release]; [super dealloc]; }
- (NSInteger)type { return it->type; }
- (NSString *)originalFilename { return it->name; }
- (NSString *)uniformTypeIdentifier {
  NSString *e = [[it->name pathExtension] lowercaseString];
  if (isFilm(it->name)) return [e isEqual:@"mov"] ? @"com.apple.quicktime-movie" : @"public.mpeg-4";
  NSDictionary *d = [NSDictionary dictionaryWithObjectsAndKeys:@"public.heic", @"heic", @"public.png", @"png", @"com.adobe.raw-image", @"dng",
    @"com.canon.cr2-raw-image", @"cr2", @"com.apple.property-list", @"plist", nil];
  return [d objectForKey:e] ?: @"public.jpeg";
}
- (unsigned long long)fileSize { return it->size; }
- (BOOL)isLocallyAvailable { return NO; }
@end

@interface PHAssetResourceRequestOptions : NSObject { @public BOOL network; void (^progress)(double); } @end
@implementation PHAssetResourceRequestOptions
- (void)setNetworkAccessAllowed:(BOOL)v { network = v; }
- (void)setProgressHandler:(void (^)(double))h {
  if (progress) Block_release(progress);
  progress = h ? Block_copy(h) : NULL;
}
- (void)dealloc { if (progress) Block_release(progress); [super dealloc]; }
@end

@interface MockJob : NSObject { @public
  MockItem *it; PHAssetResourceRequestOptions *options; NSString *path; MockLuck *luck; volatile BOOL canceled;
  void (^data)(NSData *); void (^done)(NSError *); } @end
@implementation MockJob
- (void)dealloc {
  [it release]; [options release]; [path release]; [luck release];
  if (data) Block_release(data);
  Block_release(done);
  [super dealloc];
}
static NSError *nserror(const char *domain, long code, NSDictionary *info) {
  return [NSError errorWithDomain:[NSString stringWithUTF8String:domain] code:code userInfo:info];
}
- (void)fail:(const char *)domain code:(long)code { done(nserror(domain, code, nil)); }
- (BOOL)failed { // as one of the errors says
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    if (![luck strikes:errors[i].name]) continue;
    NSDictionary *info = errors[i].beneath
      ? [NSDictionary dictionaryWithObject:nserror(errors[i].beneath, errors[i].beneathCode, nil) forKey:@"NSUnderlyingError"] : nil;
    done(nserror(errors[i].domain, errors[i].code, info));
    return YES;
  }
  return NO;
}
- (void)run:(id)unused {
  NSAutoreleasePool *pool = [NSAutoreleasePool new];
  [self deliver];
  [pool release];
}
- (void)deliver {
  if (!options->network) return [self fail:"PHPhotosErrorDomain" code:3164];
  if ([self failed]) return;
  if ([luck strikes:"leak"]) {
    size_t n = number("MOCK_LEAK_MB", 9) << 20;
    volatile char *p = malloc(n); // or the compiler leaves it out
    for (size_t i = 0; i < n; i += 1024) p[i] = 1;
  }
  long long size = it->size;
  MockItem *from = it;
  if ([luck strikes:"short"]) size = size * 2 / 3;
  if ([luck strikes:"proxy"]) {
    from = [[MockItem new] autorelease];
    from->key = 7;
    size = size / 5 + 1;
  }
  int fd = -1;
  if (path && (fd = open([path fileSystemRepresentation], O_WRONLY | O_CREAT | O_EXCL, 0666)) < 0) return [self fail:"NSCocoaErrorDomain" code:513];
  BOOL flood = !path && [luck strikes:"flood"], stubborn = [luck strikes:"stubborn"];
  NSMutableArray *queue = [NSMutableArray array];
  NSMutableData *one = [NSMutableData dataWithLength:chunk]; // one buffer, as Apple's
  for (long long off = 0; off < size; off += chunk) {
    size_t n = size - off < (long long)chunk ? size - off : chunk;
    [one setLength:n];
    [from read:[one mutableBytes] length:n from:off];
    if (off + (long long)n > size / 2 && off <= size / 2) {
      if ([luck strikes:"crash"]) { fprintf(stderr, "mock: crash\n"); abort(); }
      if ([luck strikes:"throw"]) [NSException raise:@"NSInternalInconsistencyException" format:@"mock"];
      if ([luck strikes:"hang"]) return;
    }
    if (options->progress) options->progress((double)(off + n) / size);
    if (path && write(fd, [one bytes], n) != (ssize_t)n) { close(fd); return [self fail:"NSCocoaErrorDomain" code:640]; }
    if (!path && flood) [queue addObject:[NSData dataWithBytes:[one bytes] length:n]];
    if (!path && !flood) data(one);
    if (number("MOCK_SLOW_MS", 0)) usleep(number("MOCK_SLOW_MS", 0) * 1000);
    if (canceled && !stubborn) return [self fail:"PHPhotosErrorDomain" code:3072];
  }
  for (NSData *d in queue) data(d);
  if (fd >= 0) close(fd);
  done(nil);
  if ([luck strikes:"twice"]) {
    if (data) data(one);
    done(nil);
  }
}
@end

@interface PHAssetResourceManager : NSObject @end
@implementation PHAssetResourceManager
static NSMutableDictionary *jobs; // id -> job, of pushes; they are few, and the process is soon replaced
+ (PHAssetResourceManager *)defaultManager {
  static PHAssetResourceManager *m;
  @synchronized(self) { if (!m) { m = [self new]; jobs = [NSMutableDictionary new]; } }
  return m;
}
static MockJob *start(PHAssetResource *r, NSString *path, PHAssetResourceRequestOptions *o, void (^data)(NSData *), void (^done)(NSError *)) {
  static long seq;
  MockJob *j = [[MockJob new] autorelease];
  j->it = [r->it retain]; j->options = [o retain]; j->path = [path copy];
  j->data = data ? Block_copy(data) : NULL; j->done = Block_copy(done);
  j->luck = [MockLuck new];
  j->luck->seq = __sync_add_and_fetch(&seq, 1);
  j->luck->attempt = attemptOf(r->it);
  j->luck->roll = mix(hash(r->it->uuid, number("MOCK_SEED", 1)) + 1000 * r->it->type + j->luck->attempt) % 100;
  [NSThread detachNewThreadSelector:@selector(run:) toTarget:j withObject:nil];
  return j;
}
- (void)writeDataForAssetResource:(PHAssetResource *)r toFile:(NSURL *)u options:(PHAssetResourceRequestOptions *)o
                completionHandler:(void (^)(NSError *))done {
  if (access([[u path] fileSystemRepresentation], F_OK) == 0) return done(nserror("PHPhotosErrorDomain", -1, nil)); // on the caller's thread, as Apple's
  start(r, [u path], o, NULL, done);
}
- (int32_t)requestDataForAssetResource:(PHAssetResource *)r options:(PHAssetResourceRequestOptions *)o
                   dataReceivedHandler:(void (^)(NSData *))data completionHandler:(void (^)(NSError *))done {
  static int32_t last;
  int32_t i = __sync_add_and_fetch(&last, 1);
  MockJob *j = start(r, nil, o, data, done);
  @synchronized(jobs) { [jobs setObject:j forKey:[NSNumber numberWithInt:i]]; }
  return i;
}
- (void)cancelDataRequest:(int32_t)i {
  @synchronized(jobs) { ((MockJob *)[jobs objectForKey:[NSNumber numberWithInt:i]])->canceled = YES; }
}
@end
