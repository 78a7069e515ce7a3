"""GLSL of the camera renderer: surfaces into buffers, heights from above, smoothed edges."""

from __future__ import annotations

SURFACE_VERTEX = """
#version 330
uniform mat4 world_from_object;
uniform vec3 eye;
uniform mat3 camera_from_world;
uniform vec4 projection;  // scale x, scale y, shift x, shift y
uniform vec2 clip;        // near, far
in vec3 in_place;
in vec4 in_normal;
in vec4 in_paint;
out vec3 place;
out vec4 normal;
out float depth;
flat out vec4 paint;
void main() {
    mat3 turn = mat3(world_from_object);
    vec3 optical = camera_from_world * (turn * in_place + (world_from_object[3].xyz - eye));
    place = in_place;
    normal = vec4(turn * in_normal.xyz, in_normal.w);
    depth = optical.z;
    paint = in_paint;
    float near = clip.x, far = clip.y;
    gl_Position = vec4(
        projection.x * optical.x + projection.z * optical.z,
        projection.y * optical.y + projection.w * optical.z,
        (optical.z * (far + near) - 2.0 * far * near) / (far - near),
        optical.z);
}
"""

SURFACE_FRAGMENT = """
#version 330
uniform float number;
in vec3 place;
in vec4 normal;
in float depth;
flat in vec4 paint;
layout(location = 0) out float out_depth;
layout(location = 1) out vec4 out_place;
layout(location = 2) out vec4 out_normal;
layout(location = 3) out vec4 out_tint;
void main() {
    out_depth = depth;
    out_place = vec4(place, number);
    out_normal = normal;
    out_tint = paint;
}
"""

ABOVE_VERTEX = """
#version 330
uniform mat4 world_from_object;
uniform mat4 clip_from_world;
in vec3 in_place;
out float height;
void main() {
    vec4 world = world_from_object * vec4(in_place, 1.0);
    height = world.z;
    gl_Position = clip_from_world * world;
}
"""

ABOVE_FRAGMENT = """
#version 330
in float height;
out float out_height;
void main() { out_height = height; }
"""

COVER_VERTEX = """
#version 330
uniform float kind;
in vec2 in_place;
void main() { gl_Position = vec4(in_place, (kind + 1.0) / 8.0 - 1.0, 1.0); }
"""

SORT_FRAGMENT = """
#version 330
uniform sampler2D normals;  // w: the kind of surface, 0 where there is none
void main() {
    float kind = round(texelFetch(normals, ivec2(gl_FragCoord.xy), 0).w);
    gl_FragDepth = (kind + 1.0) / 16.0;
}
"""

SMOOTH_FRAGMENT = """
#version 330
uniform sampler2D image;  // a: its brightness
out vec4 out_colour;

float bright(int x, int y) { return texelFetch(image, ivec2(x, y), 0).a; }
vec4 seen(vec2 at) { return textureLod(image, at, 0.0); }

// Edges are smoothed along their direction (FXAA, Lottes 2009, short form).
void main() {
    ivec2 size = textureSize(image, 0), pixel = ivec2(gl_FragCoord.xy);
    ivec2 low_side = max(pixel - 1, 0), high_side = min(pixel + 1, size - 1);
    vec4 middle = texelFetch(image, pixel, 0);
    float m = middle.a;
    float left = m + bright(low_side.x, pixel.y), right = m + bright(high_side.x, pixel.y);
    float above = bright(pixel.x, low_side.y), below = bright(pixel.x, high_side.y);
    // Means of two by two pixels, at the corners of this one.
    float a = 0.25 * (left + above + bright(low_side.x, low_side.y));
    float b = 0.25 * (right + above + bright(high_side.x, low_side.y));
    float c = 0.25 * (left + below + bright(low_side.x, high_side.y));
    float d = 0.25 * (right + below + bright(high_side.x, high_side.y));
    float low = min(m, min(min(a, b), min(c, d)));
    float high = max(m, max(max(a, b), max(c, d)));
    if (high - low > max(0.03, high * 0.10)) {
        vec2 step = 1.0 / vec2(size), at = gl_FragCoord.xy * step;
        vec2 way = vec2(-((a + b) - (c + d)), (a + c) - (b + d));
        float damp = max((a + b + c + d) * 0.03125, 0.0078);
        way = clamp(way / (min(abs(way.x), abs(way.y)) + damp), -6.0, 6.0) * step;
        vec4 near = 0.5 * (seen(at - way / 6.0) + seen(at + way / 6.0));
        vec4 wide = 0.5 * near + 0.25 * (seen(at - way * 0.5) + seen(at + way * 0.5));
        middle = (wide.a < low || wide.a > high) ? near : wide;
    }
    out_colour = vec4(middle.rgb, 1.0);
}
"""
