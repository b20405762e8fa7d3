/* See movie.h. A queue of few frames between two threads: who makes them waits, rather than memory growing. */
#include "viewer/movie.h"
#include "viewer/file.h"
#include "viewer/png.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <webp/encode.h>
#include <webp/mux.h>

enum { QUEUE = 4 };

struct movie {
    char path[1024];
    uint32_t width, height;
    bool animation;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;
    /* Under the lock. */
    uint8_t *frames[QUEUE];
    uint32_t shown_ms[QUEUE], first, n;
    bool ended, thrown, over;
    char error[400];
    /* The thread's own. */
    WebPAnimEncoder *encoder;
    int time;
    uint32_t number;
};

static bool ends_in(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n > m && !strcmp(path + n - m, end);
}

static bool fail(movie *m, const char *what)
{
    pthread_mutex_lock(&m->lock);
    if (!*m->error)
        snprintf(m->error, sizeof m->error, "%.200s cannot be written: %.150s", m->path, what);
    pthread_mutex_unlock(&m->lock);
    return false;
}

/* ---- encoding ---- */

static bool begin_animation(movie *m)
{
    WebPAnimEncoderOptions options;
    if (!WebPAnimEncoderOptionsInit(&options))
        return fail(m, "libwebp is of another version");
    options.anim_params.loop_count = 0; /* for ever */
    m->encoder = WebPAnimEncoderNew((int)m->width, (int)m->height, &options);
    return m->encoder || fail(m, "there is not enough memory");
}

static bool add_to_animation(movie *m, const uint8_t *rgb, uint32_t ms)
{
    WebPConfig config;
    WebPPicture picture;
    if (!WebPConfigInit(&config) || !WebPPictureInit(&picture) || !WebPConfigLosslessPreset(&config, 2))
        return fail(m, "libwebp is of another version");
    picture.use_argb = 1;
    picture.width = (int)m->width;
    picture.height = (int)m->height;
    bool ok = WebPPictureImportRGB(&picture, rgb, (int)m->width * 3) &&
              WebPAnimEncoderAdd(m->encoder, &picture, m->time, &config);
    WebPPictureFree(&picture);
    m->time += (int)ms;
    return ok || fail(m, WebPAnimEncoderGetError(m->encoder));
}

static bool end_animation(movie *m)
{
    WebPData data;
    char error[300];
    WebPDataInit(&data);
    bool ok = (WebPAnimEncoderAdd(m->encoder, NULL, m->time, NULL) && WebPAnimEncoderAssemble(m->encoder, &data)) ||
              fail(m, WebPAnimEncoderGetError(m->encoder));
    ok = ok && (file_write(m->path, data.bytes, data.size, error, sizeof error) || fail(m, error));
    WebPDataClear(&data);
    return ok;
}

static bool add_png(movie *m, const uint8_t *rgb)
{
    char path[1100], error[300];
    snprintf(path, sizeof path, "%.*s-%03u.png", (int)(strlen(m->path) - 4), m->path, m->number);
    return png_write(path, rgb, m->width, m->height, NULL, 0, error, sizeof error) || fail(m, error);
}

/* The next frame, the caller's; NULL: there is none and will be none. */
static uint8_t *take(movie *m, uint32_t *ms)
{
    uint8_t *rgb = NULL;
    pthread_mutex_lock(&m->lock);
    while (!m->n && !m->ended && !m->thrown)
        pthread_cond_wait(&m->news, &m->lock);
    if (m->n && !m->thrown) {
        rgb = m->frames[m->first];
        *ms = m->shown_ms[m->first];
        m->first = (m->first + 1) % QUEUE;
        m->n--;
    }
    pthread_mutex_unlock(&m->lock);
    return rgb;
}

static void *work(void *argument)
{
    movie *m = argument;
    uint32_t ms;
    uint8_t *rgb;
    bool ok = !m->animation || begin_animation(m);
    while ((rgb = take(m, &ms))) { /* after a failure too, so that nobody waits for room */
        ok = ok && (m->animation ? add_to_animation(m, rgb, ms) : add_png(m, rgb));
        m->number++;
        free(rgb);
    }
    if (ok && m->animation && !m->thrown)
        end_animation(m);
    WebPAnimEncoderDelete(m->encoder);
    pthread_mutex_lock(&m->lock);
    m->over = true;
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

/* ---- the other side ---- */

movie *movie_begin(const char *path, uint32_t width, uint32_t height, char *error, size_t size)
{
    movie *m = calloc(1, sizeof *m);
    const bool animation = ends_in(path, ".webp");
    if (!m || strlen(path) >= sizeof m->path || (!animation && !ends_in(path, ".png")) || !width || !height) {
        snprintf(error, size, "%s: an animation ends in .webp, a sequence of pictures in .png", path);
        free(m);
        return NULL;
    }
    snprintf(m->path, sizeof m->path, "%s", path);
    m->width = width;
    m->height = height;
    m->animation = animation;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->news, NULL);
    if (pthread_create(&m->thread, NULL, work, m) == 0)
        return m;
    snprintf(error, size, "%s cannot be written: no thread can be started", path);
    pthread_cond_destroy(&m->news);
    pthread_mutex_destroy(&m->lock);
    free(m);
    return NULL;
}

bool movie_ready(const movie *m)
{
    movie *open = (movie *)m; /* the lock is not what it is about */
    pthread_mutex_lock(&open->lock);
    bool ready = m->n < QUEUE || *m->error;
    pthread_mutex_unlock(&open->lock);
    return ready;
}

bool movie_add(movie *m, uint8_t *rgb, uint32_t milliseconds)
{
    pthread_mutex_lock(&m->lock);
    bool taken = m->n < QUEUE && !*m->error && !m->ended;
    if (taken) {
        uint32_t at = (m->first + m->n++) % QUEUE;
        m->frames[at] = rgb;
        m->shown_ms[at] = milliseconds;
        pthread_cond_signal(&m->news);
    }
    pthread_mutex_unlock(&m->lock);
    return taken;
}

void movie_end(movie *m)
{
    pthread_mutex_lock(&m->lock);
    m->ended = true;
    pthread_cond_signal(&m->news);
    pthread_mutex_unlock(&m->lock);
}

bool movie_over(movie *m, char *error, size_t size)
{
    pthread_mutex_lock(&m->lock);
    bool over = m->over;
    if (over)
        snprintf(error, size, "%s", m->error);
    pthread_mutex_unlock(&m->lock);
    return over;
}

void movie_free(movie **handle)
{
    movie *m = *handle;
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    m->thrown = !m->ended;
    pthread_cond_signal(&m->news);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
    for (; m->n; m->n--, m->first = (m->first + 1) % QUEUE)
        free(m->frames[m->first]);
    pthread_cond_destroy(&m->news);
    pthread_mutex_destroy(&m->lock);
    free(m);
    *handle = NULL;
}
