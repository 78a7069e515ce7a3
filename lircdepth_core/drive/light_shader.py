"""GLSL that lights surfaces: texture, sun, sky, lamps, rain, fog.

All texture comes from noise in the object's own frame, read from a mipmapped tile at the level of
the pixel's footprint, so that nothing flickers and nothing aliases.

There is a program for each kind of surface, since a software renderer runs all branches for all
pixels.
"""

from __future__ import annotations

from lircdepth_core.drive.materials import Pattern

MAX_LAMPS = 14
MAX_BEAMS = 6

KINDS: tuple[str, ...] = ("SKY", "ROAD", "PAVED", "GREEN", "WALL", "MIRROR", "OTHER")
"""Kinds of surfaces, numbered in this order."""

_KIND_OF_PATTERN = {
    Pattern.ASPHALT: "ROAD",
    Pattern.MARKING: "ROAD",
    Pattern.PAVING: "PAVED",
    Pattern.GRASS: "GREEN",
    Pattern.SOIL: "GREEN",
    Pattern.LEAVES: "GREEN",
    Pattern.BRICK: "WALL",
    Pattern.PLASTER: "WALL",
    Pattern.CONCRETE: "WALL",
    Pattern.TILES: "WALL",
    Pattern.GLASS: "MIRROR",
    Pattern.SHOP: "MIRROR",
    Pattern.CAR_PAINT: "MIRROR",
}


def kind_of(pattern: Pattern) -> int:
    """The number of the kind that draws a pattern."""
    return KINDS.index(_KIND_OF_PATTERN.get(pattern, "OTHER"))


def light_fragment(kind: str, *, shadows: bool, lamps: bool, wet: bool) -> str:
    """The fragment shader for a kind of surface.

    Args:
        kind: one of `KINDS`.
        shadows: whether the sun casts any.
        lamps: whether lamps are on.
        wet: whether it rains.
    """
    defines = [kind]
    defines += ["SHADOWS"] * shadows + ["LAMPS"] * lamps + ["WET"] * wet
    shiny = kind in ("MIRROR", "OTHER") or (wet and kind in ("ROAD", "PAVED"))
    defines += ["SHINY"] * shiny
    return "\n".join(
        [
            "#version 330",
            *(f"#define {name}" for name in defines),
            *(f"const int P_{pattern.name} = {pattern.value};" for pattern in Pattern),
            f"const int MAX_LAMPS = {MAX_LAMPS};",
            f"const int MAX_BEAMS = {MAX_BEAMS};",
            _COMMON,
            _SKY if kind == "SKY" else _SURFACE,
        ]
    )


_COMMON = """
uniform sampler2D depths, places, normals, tints, materials, noise, heights;
uniform sampler2DShadow still_shadow, moving_shadow;
uniform mat4 still_from_world, moving_from_world;
uniform vec4 heights_from_world;  // scale, scale, shift, shift
uniform vec3 eye;
uniform mat3 world_from_camera;
uniform vec4 rays;  // 1/fx, 1/fy, cx, cy
uniform vec3 sun, sun_light, zenith, horizon, ground_light, fog_light;
uniform float extinction, clouds, dark, exposure, drift;
uniform vec3 scene_shift;
uniform int lamps, beams;
uniform vec4 lamp_place[MAX_LAMPS];
uniform vec3 lamp_light[MAX_LAMPS];
uniform vec4 beam_place[MAX_BEAMS];
uniform vec3 beam_way[MAX_BEAMS];
out vec4 out_colour;

float footprint;  // metres
float level;      // its logarithm to base 2

// A film curve (Hable 2010), then about sRGB's gamma.
vec3 film(vec3 x) {
    return (x * (0.22 * x + 0.03) + 0.002) / (x * (0.22 * x + 0.3) + 0.06) - 0.0333333;
}

vec4 developed(vec3 light) {
    vec3 shown = clamp(film(light * exposure * 2.0) / film(vec3(11.2)), 0.0, 1.0);
    shown = pow(shown, vec3(0.4545));
    shown = mix(shown, smoothstep(0.0, 1.0, shown), 0.45);
    return vec4(shown, dot(shown, vec3(0.299, 0.587, 0.114)));  // a: brightness
}

vec4 tile(vec2 uv, float period) {
    return textureLod(noise, uv / period, level - log2(period / 256.0));
}

vec3 plain_sky(vec3 way, float to_sun) {
    float haze = exp(-max(way.z, 0.0) * 5.0);
    float glow = 0.035 * pow(to_sun, 8.0) * (0.35 + haze) + 0.25 * pow(to_sun, 220.0);
    return mix(zenith, horizon, haze) + sun_light * glow;
}
"""

_SKY = """
void main() {
    vec2 pixel = floor(gl_FragCoord.xy);
    vec3 way = normalize(world_from_camera * vec3((pixel - rays.zw) * rays.xy, 1.0));
    float to_sun = max(dot(way, sun), 0.0);
    float up = max(way.z, 0.0);
    vec3 light = plain_sky(way, to_sun);
    light += sun_light * 14.0 * smoothstep(0.99985, 0.99993, to_sun) * (1.0 - clouds);
    vec2 at = way.xy / (up + 0.06) + drift;
    footprint = 0.004 / (up + 0.06);
    level = log2(footprint);
    float lump = 0.55 * tile(at, 6.0).r + 0.27 * tile(at.yx, 2.3).g + 0.12 * tile(at, 0.8).b
        + 0.06 * tile(at, 0.3).a;
    float cover = smoothstep(0.72 - 0.5 * clouds, 0.9 - 0.42 * clouds, lump + 0.08);
    float lit = 0.55 + 0.75 * (lump - 0.35);
    vec3 cloud = (horizon * 0.55 + zenith * 0.25) * (0.75 + 0.7 * lit)
        + sun_light * (0.12 * lit + 0.2 * pow(to_sun, 6.0)) * (1.0 - 0.85 * clouds);
    light = mix(light, cloud, cover * smoothstep(0.012, 0.12, up) * 0.92);
    // Towards the horizon a longer way leads through the haze.
    float air = exp(-extinction * 1500.0 * min(1.0, 0.06 / (abs(way.z) + 0.004)));
    out_colour = developed(mix(fog_light, light, air));
}
"""

_SURFACE = """
float hash(vec2 p) {
    p = fract(p * vec2(0.1031, 0.11369));
    p += dot(p, p.yx + 33.33);
    return fract((p.x + p.y) * p.x);
}

// Share of a pixel that joints of a width cover on a grid of cells.
float joints(vec2 cell, vec2 size, float width) {
    vec2 edge = min(fract(cell), 1.0 - fract(cell)) * size;
    vec2 cover = clamp((width - edge) / footprint + 0.5, 0.0, 1.0);
    vec2 mean = min(vec2(1.0), 2.0 * width / size);
    cover = mix(cover, mean, clamp(footprint * 3.0 / size - 0.3, 0.0, 1.0));
    return max(cover.x, cover.y);
}

vec3 surroundings(vec3 way) {
    vec3 above = plain_sky(way, max(dot(way, sun), 0.0));
    vec3 skyline = horizon * 0.16 + ground_light * 0.4;
    vec3 below = ground_light * 0.55 + sun_light * 0.02;
    return way.z > 0.0 ? mix(skyline, above, smoothstep(0.06, 0.42, way.z))
                       : mix(skyline, below, smoothstep(0.0, -0.15, way.z));
}

float lit_share(vec3 world, vec3 normal) {
    vec3 raised = world + normal * 0.06 + sun * 0.03;
    vec3 a = (still_from_world * vec4(raised, 1.0)).xyz;
    vec3 b = (moving_from_world * vec4(raised, 1.0)).xyz;
    float far = 0.7 / 4096.0, near = 0.3 / 4096.0;
    float share = 0.25 * (texture(still_shadow, a + vec3(-far, -near, 0.0))
        + texture(still_shadow, a + vec3(near, -far, 0.0))
        + texture(still_shadow, a + vec3(far, near, 0.0))
        + texture(still_shadow, a + vec3(-near, far, 0.0)));
    if (any(greaterThan(abs(a - 0.5), vec3(0.499)))) share = 1.0;
    float moving = texture(moving_shadow, b);
    if (any(greaterThan(abs(b - 0.5), vec3(0.499)))) moving = 1.0;
    return share * moving;
}

void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    float depth = texelFetch(depths, pixel, 0).r;
    vec4 at = texelFetch(places, pixel, 0);
    vec4 paint = texelFetch(tints, pixel, 0);
    int material = int(paint.a * 255.0 + 0.5);
    vec4 base = texelFetch(materials, ivec2(material, 0), 0);
    vec4 shine = texelFetch(materials, ivec2(material, 1), 0);
    int pattern = int(base.a + 0.5);
    vec3 ray = vec3((vec2(pixel) - rays.zw) * rays.xy, 1.0);
    vec3 way = normalize(world_from_camera * ray);
    vec3 world = eye + world_from_camera * (ray * depth);
    vec3 normal = normalize(texelFetch(normals, pixel, 0).xyz);
    float facing = dot(normal, way);
    if (facing > 0.0) { normal = -normal; facing = -facing; }
    facing = clamp(-facing, 0.02, 1.0);
    footprint = depth * rays.x / sqrt(facing);
    level = log2(footprint);

    bool parked = at.w < 0.0;
    at.w = abs(at.w);
    vec3 place = at.xyz + at.w * vec3(13.7, 7.3, 3.1) + scene_shift;
    bool level = abs(normal.z) > 0.7;
    vec2 tangent = normalize(vec2(-normal.y, normal.x) + 1e-6);
    vec2 uv = level ? place.xy : vec2(dot(place.xy, tangent), place.z);

    vec3 colour = base.rgb * paint.rgb;
    float gloss = shine.r, rough = shine.g, emission = shine.b;
    float puddle = 0.0;
    vec2 slope = vec2(0.0);

#ifdef ROAD
    vec4 wide = tile(uv, 23.0), middle = tile(uv, 3.1);
    vec4 fine = tile(uv, 0.45), grain = tile(uv, 0.11);
    float tone = 1.0 + 0.4 * (wide.r - 0.5) + 0.22 * (middle.g - 0.5) + 0.25 * (fine.b - 0.5)
        + 0.7 * (grain.a - 0.5);
    // Mended patches, cracks, oil.
    tone *= 1.0 - 0.28 * step(0.93, hash(floor(uv / vec2(9.0, 5.0)) + 3.7));
    vec4 seam = tile(uv, 13.0);
    float crack = abs(seam.b - 0.5 + 0.12 * (middle.r - 0.5));
    float split = (1.0 - smoothstep(0.004, 0.012 + footprint * 0.15, crack))
        * smoothstep(0.52, 0.6, wide.g);
    tone *= 1.0 - 0.55 * split / (1.0 + footprint * 14.0);
    tone *= 1.0 - 0.25 * smoothstep(0.55, 0.7, middle.b) * smoothstep(0.5, 0.62, wide.b);
    vec3 road = vec3(0.088, 0.088, 0.09) * tone * (1.0 + 0.1 * (wide.b - 0.5));
    float worn = smoothstep(0.50, 0.68, 0.5 * fine.r + 0.3 * grain.g + 0.3 * middle.b - 0.03);
    vec3 painted = mix(colour * (0.85 + 0.3 * (middle.r - 0.5)), road, worn * 0.75);
    colour = pattern == P_MARKING ? painted : road;
    slope = (grain.rg - 0.5) * 0.4 + (fine.rg - 0.5) * 0.1;
    puddle = smoothstep(0.5, 0.64, wide.a * 0.6 + middle.a * 0.3 + 0.06);
#endif
#ifdef PAVED
    vec2 size = vec2(0.6, 0.4);
    vec2 cell = uv / size;
    cell.x += 0.5 * floor(mod(cell.y, 2.0));
    float shade = mix(hash(floor(cell)), 0.5, clamp(footprint * 3.0, 0.0, 1.0));
    vec4 wide = tile(uv, 17.0), middle = tile(uv, 2.7), grain = tile(uv, 0.2);
    colour *= 0.82 + 0.22 * shade + 0.4 * (middle.r - 0.5) + 0.45 * (grain.g - 0.5)
        + 0.3 * (wide.b - 0.5);
    colour *= 1.0 - 0.55 * joints(cell, size, 0.006);
    slope = (grain.rg - 0.5) * 0.3;
    puddle = smoothstep(0.6, 0.7, wide.a * 0.7 + middle.a * 0.25);
#endif
#ifdef GREEN
    vec4 wide = tile(uv, 37.0), middle = tile(uv, 4.3), fine = tile(uv, 0.7);
    vec4 grain = tile(uv, 0.13);
    vec3 grass = mix(colour, vec3(0.17, 0.14, 0.06),
        smoothstep(0.45, 0.7, 0.6 * wide.r + 0.4 * middle.b) * 0.6);
    grass = mix(grass, vec3(0.11, 0.08, 0.055),
        smoothstep(0.62, 0.72, 0.5 * wide.g + 0.5 * middle.a) * 0.7);
    grass *= max(1.0 + 0.7 * (middle.r - 0.5) + 0.8 * (fine.g - 0.5) + grain.b - 0.5, 0.25);
    vec3 leaf = colour * max(0.15, 1.0 + 1.1 * (fine.r - 0.5) + 1.6 * (grain.g - 0.5));
    colour = pattern == P_LEAVES ? leaf : grass;
    slope = (grain.rg - 0.5) * 0.9 + (fine.ba - 0.5) * 0.6;
    if (pattern == P_LEAVES) normal = normalize(normal + vec3(0.0, 0.0, 0.45));
#endif
#ifdef WALL
    vec4 wide = tile(uv, 8.0), middle = tile(uv, 1.1), grain = tile(uv, 0.17);
    float run = tile(vec2(uv.x * 4.0, uv.y * 0.35), 4.0).r;
    bool bricks = pattern == P_BRICK, tiles = pattern == P_TILES;
    vec2 size = bricks ? vec2(0.25, 0.078) : tiles ? vec2(0.26, 0.2) : vec2(2.8, 1.6);
    vec2 cell = uv / size;
    if (bricks) cell.x += 0.5 * floor(mod(cell.y, 2.0));
    float blurred = clamp(footprint * 0.7 / size.y, 0.0, 1.0);
    float shade = mix(hash(floor(cell)), 0.5, blurred);
    float joint = joints(cell, size, 0.007);
    float row = mix(fract(cell.y), 0.5, blurred);
    float stain = 1.0 + 0.3 * (wide.g - 0.5) + 0.16 * (middle.r - 0.5) + 0.22 * (run - 0.5);
    if (bricks) {
        colour *= (0.72 + 0.5 * shade + 0.2 * (middle.g - 0.5)) * stain;
        colour = mix(colour, vec3(0.30, 0.28, 0.25) * (0.8 + 0.4 * middle.b), joint * 0.75);
    } else if (tiles) {
        colour *= (0.7 + 0.35 * shade + 0.45 * (row - 0.5)) * (0.8 + 0.5 * wide.r);
    } else {
        float panel = pattern == P_CONCRETE && !level ? 0.25 : 0.0;
        colour *= (0.92 + 0.22 * (grain.b - 0.5)) * stain * (1.0 - panel * joint);
    }
    slope = (grain.rg - 0.5) * 0.22;
#endif
#ifdef MIRROR
    vec4 sheet = tile(uv, 1.9);
    if (pattern == P_CAR_PAINT) {
        // Dust and spray from the road, more towards the sills.
        float dirt = smoothstep(0.75, 0.2, at.z) * (0.3 + 0.5 * sheet.r)
            * (0.25 + 0.35 * fract(at.w * 0.37));
        colour = mix(colour, vec3(0.13, 0.12, 0.105), dirt);
        gloss *= 1.0 - 0.7 * dirt;
        slope = (sheet.rg - 0.5) * 0.03;
    } else {
        slope = (sheet.rg - 0.5) * 0.04;
        float room = hash(floor(place.xy * 0.37) + floor(place.z * 0.4) * 7.1);
        float curtain = step(0.6, room) * tile(vec2(uv.x * 8.0, uv.y * 0.2), 1.7).r;
        vec4 goods = tile(uv, 2.2), small = tile(uv, 0.6);
        if (pattern == P_SHOP)
            colour *= 0.4 + 1.6 * goods.r * small.rgb + 1.2 * step(0.6, goods.g) * small.gbr;
        else if (at.w < 0.5)
            colour += vec3(0.20, 0.19, 0.17) * curtain
                * (1.0 - 0.8 * step(0.01, emission) * dark);
    }
    normal = normalize(normal + vec3(slope, -slope.x));
#endif
#ifdef OTHER
    bool grown = pattern == P_BARK || pattern == P_WOOD;
    vec4 ridges = tile(grown ? vec2(uv.x * 3.0, uv.y * 0.6) : uv, 0.6);
    vec4 wide = tile(uv, 2.7);
    if (grown) {
        colour *= 0.62 + 0.8 * ridges.r;
        slope = (ridges.gb - 0.5) * 0.6;
    } else if (pattern == P_FABRIC) {
        colour *= 0.85 + 0.5 * (ridges.r - 0.4);
        slope = (ridges.gb - 0.5) * 0.9;
    } else if (pattern == P_METAL) {
        colour *= 0.9 + 0.25 * (ridges.r - 0.5) + 0.3 * (wide.g - 0.5);
        rough = clamp(rough + 0.3 * (ridges.b - 0.5), 0.05, 1.0);
    } else {
        colour *= 0.95 + 0.16 * (ridges.r - 0.5);
    }
#endif
#ifndef MIRROR
    vec3 side = level ? vec3(1.0, 0.0, 0.0) : vec3(tangent, 0.0);
    normal = normalize(normal + side * slope.x + cross(normal, side) * slope.y);
#endif
#ifdef WET
    // Rain darkens what soaks it up and gives everything level a film of water.
#ifndef MIRROR
    float film_of_water = smoothstep(0.3, 0.9, normal.z);
    colour *= level ? 0.5 : 0.75;
    gloss = max(gloss, film_of_water * (0.035 + 0.02 * puddle));
    rough = mix(rough, 0.28 - 0.22 * puddle, film_of_water);
    normal = normalize(mix(normal, vec3(0.0, 0.0, 1.0), film_of_water * (0.45 + 0.55 * puddle)));
#endif
#endif

    // Light from the sky, held off by what stands close by.
    // Looked up in front of the surface, so that a roof does not darken its own walls.
    vec2 scale = heights_from_world.xy, map = world.xy * scale + heights_from_world.zw;
    float close = textureLod(heights, map + normal.xy * scale, 2.0).r - world.z;
    float about = textureLod(heights, map + normal.xy * scale * 3.5, 4.0).r - world.z;
    float open = 1.0 - 0.42 * clamp(close / 0.9, 0.0, 1.0) - 0.33 * clamp(about / 2.6, 0.0, 1.0);
    if (any(greaterThan(abs(map - 0.5), vec2(0.49)))) open = 0.85;
    vec3 ambient = mix(ground_light, mix(horizon, zenith, 0.5), normal.z * 0.5 + 0.5) * open;
    vec3 diffuse = ambient;
    float share = 1.0;
    float towards = max(dot(normal, sun), 0.0);
#ifdef GREEN
    if (pattern == P_LEAVES) towards = 0.35 + 0.65 * towards;
#endif
#ifdef SHADOWS
    share = lit_share(world, normal);
#endif
    diffuse += sun_light * (towards * share);
    vec3 light = vec3(0.0);
    float fresnel = 0.0;
#ifdef SHINY
    vec3 mirrored = reflect(way, normal);
    fresnel = gloss + (1.0 - gloss) * pow(1.0 - max(-dot(normal, way), 0.0), 5.0)
        * (1.0 - rough * 0.9);
    float power = clamp(2.0 / max(rough * rough * rough * rough, 1e-4), 1.0, 1500.0);
    vec3 seen = surroundings(normalize(mirrored + normal * max(rough - 0.2, 0.0)));
    light += seen * fresnel * mix(1.0, open, 0.75) * (1.0 - 0.55 * rough);
    float glare = pow(max(dot(mirrored, sun), 0.0), power);
    light += sun_light * share * fresnel * min(power * 0.04 + 0.2, 60.0) * glare;
#endif
#ifdef LAMPS
    for (int i = 0; i < lamps; ++i) {
        vec3 to = lamp_place[i].xyz - world;
        float square = dot(to, to);
        float reach = max(1.0 - square / (lamp_place[i].w * lamp_place[i].w), 0.0);
        to *= inversesqrt(square);
        // Street lamps shine downwards.
        float here = reach * reach / (square + 1.0) * smoothstep(-0.1, 0.5, to.z);
        float faced = max(dot(normal, to), 0.0);
#ifdef GREEN
        if (pattern == P_LEAVES) faced = max(faced, 0.3);
#endif
        diffuse += lamp_light[i] * here * faced;
#ifdef SHINY
        // The mirror image of a lamp is as bright from afar.
        float sharp = min(power, 400.0);
        light += lamp_light[i] * (0.035 * fresnel * sharp / 400.0) * smoothstep(-0.1, 0.3, to.z)
            * pow(max(dot(mirrored, to), 0.0), sharp);
#endif
    }
    for (int i = 0; i < beams; ++i) {
        vec3 from = world - beam_place[i].xyz;
        float square = dot(from, from);
        from *= inversesqrt(square);
        float along = dot(from, beam_way[i]);
        float rise = from.z - beam_way[i].z;
        float spread = smoothstep(0.78, 0.97, along) * smoothstep(0.035, -0.03, rise)
            + 0.02 * step(0.6, along);
        diffuse += vec3(1.0, 0.93, 0.8) * beam_place[i].w * spread / (square + 4.0)
            * max(-dot(normal, from), 0.0);
    }
#endif
    light += diffuse * colour * (1.0 - fresnel);
#if defined(MIRROR) || defined(OTHER)
    vec3 glowing = pattern == P_LAMP ? base.rgb * paint.rgb
        : 1.1 * paint.rgb * (0.35 + 0.65 * clamp(colour * 6.0, 0.0, 1.6));
    // Signals (the only ones with an emission of 2.5) are on by day too.
    float on = parked ? 0.0 : abs(emission - 2.5) < 0.1 ? max(dark, 0.5) : dark;
    light += glowing * emission * on / exposure;
#endif
    // Koschmieder: what is seen fades into the light of the air.
    light = mix(fog_light, light, exp(-extinction * depth * length(ray)));
    out_colour = developed(light);
}
"""
